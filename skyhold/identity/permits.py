# SPDX-License-Identifier: Apache-2.0
"""Asking the policy about one target, and what makes a row unchangeable whoever asks.

Rules are policy.py. A target is always built from rows and the address, so that no body can claim to
be about something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.policy.rules import Rule


def demand(ctx: Context, rule: Rule, target: Mapping[str, Any] | None = None) -> None:
    """Raises Forbidden with the rule, role and scope that were missing."""
    if not granted(ctx, rule, target):
        raise errors.Forbidden(
            "You are not authorized to perform the requested action: "
            + ctx.core.policy.explain(rule.name, ctx.creds), rule=rule.name,
        )


def granted(ctx: Context, rule: Rule, target: Mapping[str, Any] | None = None) -> bool:
    return ctx.creds.internal or ctx.allows(rule, target or {})


def changeable(row: Any, kind: str, verb: str) -> None:
    """Raises Forbidden for a row with the option `immutable`."""
    if row.options.get("immutable"):
        raise errors.Forbidden(
            f"Cannot {verb} immutable {kind}s. To modify or delete this {kind}, first unset the immutable "
            "option.",
            reason="immutable",
        )


def check_change(row: Any, kind: str, changes: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """An immutable row takes one change alone: the option itself, given as false or null."""
    if changes or options.get("immutable", True):
        changeable(row, kind, "modify")


def gone_meanwhile(what: str) -> errors.Conflict:
    """A foreign key failed: somebody removed one side between our look and our write."""
    return errors.Conflict(f"Conflict occurred attempting to store {what}: part of it was removed meanwhile.")


def options_after(now: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Options merge on update, and null takes one away."""
    return {name: value for name, value in {**now, **asked}.items() if value is not None}


def own_domain(ctx: Context) -> str:
    """The domain a new thing belongs to when the body doesn't say: that of the token's scope."""
    return ctx.creds.domain_id or ctx.creds.project_domain_id or ctx.creds.user_domain_id or "default"


def hex_id(ctx: Context) -> str:
    """Ids are 32 hexadecimal digits here."""
    return ctx.new_id().replace("-", "")
