# SPDX-License-Identifier: Apache-2.0
"""The page of failures: each test that didn't pass, its traceback, and every request it made.

What became of the tests is suite.py. Requests and answers come from the suite's log, where each is
marked with the class and the test, or the preparation of the class, that made it.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from suite import Outcome, count

LINE = re.compile(r"^\d{4}-\d\d-\d\d \S+ (?P<worker>\d+) (?P<level>[A-Z]+) (?P<words>.*)$")
REQUEST = re.compile(r"Request \((?P<who>[^)]*)\): (?P<what>.*)$")
SHOWN_REQUESTS = 40
SHOWN_CHARACTERS = 4000
SECRET = re.compile(r"(\"?(?:password|adminPass|original_password|secret)\"?: \"?)[^\",}\s]+", re.I)
STYLE = (
    "body{font:14px sans-serif;max-width:75em;margin:2em auto}pre{background:#f4f4f4;padding:.6em;"
    "white-space:pre-wrap;overflow-wrap:anywhere}summary{cursor:pointer}.failed{color:#a00}.skipped{color:#860}"
)


def write(folder: Path, area: str, outcomes: Mapping[str, Outcome]) -> Path:
    """Writes report.html into the run's folder and returns its path."""
    log = folder / "logs" / "tempest.log"
    asked = requests(log.read_text(errors="replace").splitlines()) if log.exists() else {}
    title = html.escape(count(area, outcomes))
    parts = [f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"]
    parts += [failure(name, outcome, asked) for name, outcome in outcomes.items() if outcome.verdict == "failed"]
    parts.append("<h2>Skipped</h2><ul>")
    parts += [
        f"<li>{html.escape(name)}: <span class=skipped>{html.escape(outcome.words.strip())}</span></li>"
        for name, outcome in outcomes.items() if outcome.verdict == "skipped"
    ]
    page = folder / "report.html"
    page.write_text("\n".join([*parts, "</ul>"]))
    return page


def failure(name: str, outcome: Outcome, asked: Mapping[str, list[str]]) -> str:
    owner, test = name.split(".")[-2:]
    own = asked.get(f"{owner}:{test}", [])
    before = asked.get(f"{owner}:setUpClass", [])
    return (
        f"<details><summary class=failed>{html.escape(name)}</summary>"
        f"<pre>{html.escape(outcome.words[-SHOWN_CHARACTERS:])}</pre>"
        f"{talk('Requests of the test', own)}{talk('Requests that prepared its class', before)}</details>"
    )


def talk(title: str, requests: list[str]) -> str:
    """The last requests: what went wrong is near the end."""
    shown = "".join(f"<pre>{html.escape(one)}</pre>" for one in requests[-SHOWN_REQUESTS:])
    return f"<details><summary>{title} ({len(requests)})</summary>{shown}</details>" if requests else ""


def requests(lines: Iterable[str]) -> dict[str, list[str]]:
    """Every request with its headers and bodies, by `Class:test`. Workers share the log: each is followed apart."""
    found: dict[str, list[str]] = defaultdict(list)
    current: dict[str, str] = {}
    worker = ""
    for line in lines:
        start = LINE.match(line)
        if start:
            worker = start["worker"]
            request = REQUEST.search(start["words"])
            if request:
                current[worker] = request["who"]
                found[request["who"]].append(request["what"])
                continue
            if "Request - Headers:" not in start["words"]:
                current.pop(worker, None)
            line = "Request - Headers:" + start["words"].partition("Request - Headers:")[2]
        if worker in current and found[current[worker]]:
            one = found[current[worker]]
            one[-1] = (one[-1] + "\n" + SECRET.sub(r"\1***", line))[:SHOWN_CHARACTERS]
    return dict(found)
