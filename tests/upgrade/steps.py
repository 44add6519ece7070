# SPDX-License-Identifier: Apache-2.0
"""Rewrites steps.lock from the program's sagas: `python -m tests.upgrade.steps`. New names join, none is ever dropped.

Why that is so is test_steps.py's. A name that no release had yet may be taken out by hand.
"""

from __future__ import annotations

from pathlib import Path

from tests.sagas.kit import registered

LOCK = Path(__file__).with_name("steps.lock")


def locked() -> dict[str, list[str]]:
    """The names of each saga's steps."""
    lines = [line.partition(": ") for line in LOCK.read_text().splitlines()] if LOCK.exists() else []
    return {kind: steps.split() for kind, _, steps in lines}


def known() -> dict[str, list[str]]:
    return {saga.kind: list(saga.steps) for saga in registered()}


def main() -> None:
    all_of = locked()
    for kind, steps in known().items():
        all_of[kind] = [*steps, *(name for name in all_of.get(kind, []) if name not in steps)]
    LOCK.write_text("".join(f"{kind}: {' '.join(steps)}\n" for kind, steps in sorted(all_of.items())))


if __name__ == "__main__":
    main()
