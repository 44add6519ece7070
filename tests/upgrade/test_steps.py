# SPDX-License-Identifier: Apache-2.0
"""The names of sagas' steps are a contract across upgrades: a saga that was under way stands at one of them, and the
program that comes after must know what to do there.

The names are kept in steps.lock, which steps.py rewrites. What else an upgrade brings is migrations' business.
"""

from __future__ import annotations

from tests.upgrade.steps import known, locked


def test_a_saga_under_way_finds_its_step_after_an_upgrade() -> None:
    now = known()
    gone = {kind: set(steps) - set(now.get(kind, [])) for kind, steps in locked().items()}
    assert not any(gone.values()), f"sagas may stand there: {gone}"


def test_every_step_is_locked() -> None:
    """`python -m tests.upgrade.steps` writes them down."""
    assert {kind: set(steps) for kind, steps in known().items()} == {k: set(v) for k, v in locked().items()}
