# SPDX-License-Identifier: Apache-2.0
"""State tables: the names of a resource's states and the moves between them, as data.

Each service's states.py declares one `States` a resource; `Store.move` refuses what is not in
it. The documentation draws its diagrams from the same tables (`mermaid`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class States:
    """`moves` maps a state to those it may become. `resting` are the states that may last;
    every other one is transitional and must have a live saga."""

    moves: Mapping[str, frozenset[str]]
    resting: frozenset[str]

    def check(self, before: str, after: str) -> None:
        if after != before and after not in self.moves.get(before, frozenset()):
            raise ValueError(f"no move from {before} to {after}")

    def mermaid(self) -> str:
        lines = [f"    {a} --> {b}" for a, after in self.moves.items() for b in sorted(after)]
        return "stateDiagram-v2\n" + "\n".join(lines)


def states(moves: dict[str, str], resting: str) -> States:
    """`states({"BUILD": "ACTIVE ERROR"}, resting="ACTIVE ERROR")`: names separated by spaces."""
    return States(
        {before: frozenset(after.split()) for before, after in moves.items()}, frozenset(resting.split())
    )
