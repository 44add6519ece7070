# SPDX-License-Identifier: Apache-2.0
"""Runs the unmodified openstack client, one command after another, in one process of its own environment.

It is started with that environment's Python, not ours (walks.py does). Each line of input is a JSON list
of words, each line of output `{"code": …, "out": …, "err": …}`. Starting the client anew each time costs a second.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from openstackclient import shell


def run(words: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.OpenStackShell().run(words)
        except SystemExit as end:
            code = end.code
    return {"code": code or 0, "out": out.getvalue(), "err": err.getvalue()}


class Terminal(io.StringIO):
    """Nobody types at it: commands that take content from a pipe must not take our lines for it."""

    def isatty(self) -> bool:
        return True


commands, sys.stdin = sys.stdin, Terminal()
for line in commands:
    answer = run(json.loads(line))
    print(json.dumps(answer), file=sys.__stdout__, flush=True)
