# SPDX-License-Identifier: Apache-2.0
"""The committed lists of tests that pass: tests/conformance/<area>.txt, one name a line.

Running is suite.py. A list only says what must not get worse; a test that newly passes joins it
when somebody records it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from suite import Outcome


def broken(repo: Path, area: str, outcomes: Mapping[str, Outcome]) -> list[str]:
    """The tests of this run that are on the list and didn't pass."""
    return [name for name in listed(repo, area) if name in outcomes and outcomes[name].verdict != "passed"]


def listed(repo: Path, area: str) -> list[str]:
    file = path(repo, area)
    return file.read_text().split() if file.exists() else []


def record(repo: Path, area: str, outcomes: Mapping[str, Outcome]) -> None:
    file = path(repo, area)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name}\n" for name in sorted(outcomes) if outcomes[name].verdict == "passed"))


def path(repo: Path, area: str) -> Path:
    return repo / "tests" / "conformance" / f"{area}.txt"
