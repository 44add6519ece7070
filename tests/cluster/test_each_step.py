# SPDX-License-Identifier: Apache-2.0
"""The control plane and the agent are killed and paused at each step of each saga, as processes.

What is done and compared is aimed.py. test_chaos.py does the like at random moments and with many servers at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.aimed import BEGIN, Aimed, Point, points
from tests.cluster.cloud import QUIET_S

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Iterator[Aimed]:
    made = Aimed(tmp_path_factory.mktemp("aimed"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Lines told when the module is over."""
    lines: list[str] = []
    yield lines
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        slowest = max((float(line) for line in lines), default=0.0)
        print(f"\neach step: {len(lines)} points; at rest within {slowest:.1f} s (allowed {QUIET_S:g})")


def test_every_saga_can_be_set_going() -> None:
    assert {point.saga for point in points()} == set(BEGIN)


@pytest.mark.parametrize("point", points(), ids=str)
def test_nothing_sticks_and_nothing_leaks(running: Aimed, point: Point, told: list[str]) -> None:
    try:
        took_s = running.strike(point)
        running.nothing_is_found()
    finally:
        # What one point leaves behind is no other's failure.
        running.delete_all()
    running.nothing_is_found()
    told.append(str(took_s))


def test_hosts_were_killed_when_they_had_done_what_they_were_told(running: Aimed) -> None:
    """And not only beside steps that ask them nothing, which are fewer."""
    assert running.killed_by["host"] >= running.killed_by["serve"], running.killed_by
