# SPDX-License-Identifier: Apache-2.0
"""The pages that show what came of each command of a subject, written from the results of its walks.

What is typed is in the folders beside this one, how it is run is walks.py. The one thing to know first: a page
is held to what was run, and written anew with SKYHOLD_WRITE_PAGES=1.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.clients.walks import HERE, REPO, Result

TITLE = """# {subject} commands

<!-- Written by tests/clients/test_{name}_commands.py with SKYHOLD_WRITE_PAGES=1; changes made here are lost. -->

Every {name} command of the unmodified `openstack` client, as it was run at this cloud. `$name` stands for what an
earlier command printed.

| command | as typed | result |
|---|---|---|
"""


@dataclass(frozen=True)
class Page:
    """`name` is that of the folder of walks; `pending` are beginnings of commands that no walk has yet."""

    name: str
    pending: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return HERE / self.name

    @property
    def commands(self) -> list[str]:
        lines = (HERE / f"{self.name}_commands.txt").read_text().splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    def check_all_work(self, results: list[Result]) -> None:
        wrong = [f"{each.step.walk}: {each.step.text}\n    {reason(each)}" for each in results if each.code]
        assert not wrong, "\n".join(wrong)

    def check_complete(self, results: list[Result]) -> None:
        known = self.commands
        typed = {each.step.name(known) for each in results}
        missing = [name for name in known if name not in typed and not name.startswith(self.pending or "\0")]
        assert not missing, "\n".join([f"commands in no walk of tests/clients/{self.name}/:", *missing])
        done = [name for name in self.pending if any(each and each.startswith(name) for each in typed)]
        assert not done, f"these are no longer pending: {done}"

    def check_written(self, results: list[Result]) -> None:
        path, wanted = REPO / "docs" / f"{self.name}-commands.md", self.text(results)
        if os.environ.get("SKYHOLD_WRITE_PAGES"):
            path.write_text(wanted)
        assert path.read_text() == wanted, "run this test with SKYHOLD_WRITE_PAGES=1"

    def text(self, results: list[Result]) -> str:
        known = self.commands
        first: dict[str, Result] = {}
        for each in results:
            name = each.step.name(known)
            # One that failed is shown before one that worked.
            if name and (name not in first or (each.code and not first[name].code)):
                first[name] = each
        title = TITLE.format(subject=self.name.capitalize(), name=self.name)
        return title + "".join(row(name, first.get(name)) for name in known)


def row(name: str, result: Result | None) -> str:
    if result is None:
        return f"| {name} | | not tried |\n"
    shown = result.step.command.replace("|", "\\|")
    return f"| {name} | `{shown}` | {'works' if result.code == 0 else 'fails: ' + reason(result)} |\n"


def reason(result: Result) -> str:
    lines = [line for line in (result.err or result.out).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"code {result.code}"
