# SPDX-License-Identifier: Apache-2.0
"""Which methods together suffice for a user, by the rules in the user's options.

What is done when they don't is auth/receipts.py. A rule is a list of methods, and one rule fulfilled is enough;
methods that this cloud doesn't know are struck out, and a rule with nothing left is none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def rules_of(options: Mapping[str, Any], known: Collection[str]) -> list[list[str]]:
    """The rules that count; none at all when the user is exempt."""
    if options.get("multi_factor_auth_enabled") is False:
        return []
    rules = options.get("multi_factor_auth_rules") or []
    left = [[method for method in dict.fromkeys(rule) if method in known] for rule in rules]
    return [rule for rule in left if rule]


def suffices(rules: list[list[str]], methods: Collection[str]) -> bool:
    return not rules or any(set(rule) <= set(methods) for rule in rules)


def begun(rules: list[list[str]], methods: Collection[str]) -> list[list[str]]:
    """The rules of which something is fulfilled: what the user may go on with."""
    return [rule for rule in rules if set(rule) & set(methods)]
