# SPDX-License-Identifier: Apache-2.0
"""What a measurement is: a figure with its goal, and the loops that take it.

What is measured stands in lines/. CPU time is that of all processes of the cloud, read from the
kernel before and after enough operations that its ticks of 10 ms don't matter; a database server's
is in it, the load generator's own is not.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloud import Cloud

MOST_TIMES = 4
"""What a database server may cost, in CPU time with its own, as often as SQLite."""
LANES = 4
"""Connections at once when requests per second are counted."""


@dataclass(frozen=True)
class Goal:
    """`value` must not be passed by the figure named `of`: cpu_ms, wall_ms or `amount`."""

    of: str
    value: float
    words: str


@dataclass(frozen=True)
class Line:
    """`run(cloud)` gives the numbers of Figure by name."""

    name: str
    goal: Goal
    run: Callable[[Cloud], dict[str, Any]]

    def measure(self, cloud: Cloud) -> Figure:
        return Figure(self.name, self.goal, **self.run(cloud))


@dataclass(frozen=True)
class Figure:
    """`wall_ms` is a median, `cpu_ms` the mean per operation, `amount` what else a goal may speak of
    (CPU seconds per GiB, MiB). None is what has no meaning for this line."""

    name: str
    goal: Goal
    cpu_ms: float | None = None
    wall_ms: float | None = None
    per_s: float | None = None
    amount: float | None = None
    note: str = ""
    skipped: bool = False

    @classmethod
    def not_run(cls, line: Line, why: str) -> Figure:
        return cls(line.name, line.goal, note=why, skipped=True)

    @property
    def met(self) -> bool | None:
        reached = getattr(self, self.goal.of)
        return None if reached is None else bool(reached <= self.goal.value)

    def plain(self) -> dict[str, Any]:
        return {
            "name": self.name, "cpu_ms": rounded(self.cpu_ms), "wall_ms": rounded(self.wall_ms),
            "per_s": rounded(self.per_s), "goal": self.goal.words, "met": self.met, "note": self.note,
        }

    def row(self) -> str:
        met = {True: "yes", False: "NO", None: "-"}[self.met]
        numbers = [
            f"{shown(self.cpu_ms):>9} ms CPU", f"{shown(self.wall_ms):>9} ms wall", f"{shown(self.per_s):>8}/s"
        ]
        if self.skipped:
            numbers = [" " * 44]
        return "  ".join([f"{self.name:<34}", *numbers, f"goal {self.goal.words:<22}", f"{met:<4}", self.note]).rstrip()


@dataclass(frozen=True)
class Pair:
    """The same line on SQLite and on a database server."""

    small: Figure
    large: Figure

    @property
    def times(self) -> float | None:
        """How many times SQLite's CPU time the other takes."""
        if not self.small.cpu_ms or self.large.cpu_ms is None:
            return None
        return self.large.cpu_ms / self.small.cpu_ms

    @property
    def met(self) -> bool | None:
        return None if self.times is None else self.times <= MOST_TIMES

    def plain(self) -> dict[str, Any]:
        return {
            "name": self.small.name, "sqlite": self.small.plain(), "other": self.large.plain(),
            "times": rounded(self.times), "met": self.met,
        }

    def row(self) -> str:
        met = {True: "yes", False: "NO", None: "-"}[self.met]
        numbers = f"{shown(self.small.cpu_ms):>9} {shown(self.large.cpu_ms):>9} ms CPU  {shown(self.times):>6} times"
        walls = f"{shown(self.small.wall_ms):>9} {shown(self.large.wall_ms):>9} ms wall"
        if self.small.skipped:
            return f"{self.small.name:<34}  {self.small.note}"
        return f"{self.small.name:<34}  {numbers}  goal <= {MOST_TIMES:g} times  {met:<4}  {walls}"


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def repeat(
    cloud: Cloud, act: Callable[[int], object], times: int, *, warm: int = 3, lanes: int = LANES
) -> dict[str, Any]:
    """Do `act(i)` `times` times one after another for CPU and wall, and as many again on several
    connections at once for the rate. `act` is called with ever new numbers."""
    for i in range(warm):
        act(i)
    walls = []
    before = cloud.cpu_s()
    for i in range(warm, warm + times):
        began = time.perf_counter()
        act(i)
        walls.append(time.perf_counter() - began)
    cpu_s = cloud.cpu_s() - before
    rate = per_s(act, warm + times, times, lanes) if lanes else None
    return {"cpu_ms": cpu_s / times * 1e3, "wall_ms": statistics.median(walls) * 1e3, "per_s": rate}


def per_s(act: Callable[[int], object], first: int, times: int, lanes: int) -> float:
    """How many a second when `lanes` clients ask at once."""
    share = max(1, times // lanes)
    failed: list[BaseException] = []

    def lane(start: int) -> None:
        try:
            for i in range(start, start + share):
                act(i)
        except BaseException as error:
            failed.append(error)

    began = time.perf_counter()
    together(lane, [first + number * share for number in range(lanes)])
    if failed:
        raise failed[0]
    return share * lanes / (time.perf_counter() - began)


def together(act: Callable[[int], object], numbers: list[int]) -> None:
    """`act` of each number in a thread of its own; returns when all have ended."""
    threads = [threading.Thread(target=act, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
