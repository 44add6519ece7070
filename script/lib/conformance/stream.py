# SPDX-License-Identifier: Apache-2.0
"""Turns the suite's result stream on standard input into one JSON object a line.

What is made of them is suite.py, which doesn't share this environment. A line is written as soon
as its test ended, so that a run that is cut short still tells what it found.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import subunit
import testtools

VERDICTS = {"success": "passed", "xfail": "passed", "skip": "skipped"}


def told(test: dict[str, Any]) -> None:
    if test["status"] in ("exists", "inprogress", "unknown"):
        return
    details = {name: content.as_text() for name, content in test["details"].items() if content is not None}
    words = details.get("traceback") or details.get("reason") or "\n".join(details.values())
    start, end = test["timestamps"]
    line = {
        "name": test["id"], "verdict": VERDICTS.get(test["status"], "failed"), "words": words,
        "seconds": (end - start).total_seconds() if start and end else 0.0,
    }
    print(json.dumps(line), flush=True)


source = subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout")
results = testtools.StreamToDict(told)
results.startTestRun()
source.run(results)
results.stopTestRun()
