# SPDX-License-Identifier: Apache-2.0
"""How limits of a domain and of its projects bind each other: flat, or strict in two levels.

Keeping limits is limits.py, what is in force ceilings.py. A limit of -1 is no limit, and so larger
than any number. The models and their words are those of Keystone's administrator guide on unified limits.
"""

from __future__ import annotations

from collections.abc import Iterable

FLAT = "flat"
STRICT = "strict_two_level"

DESCRIPTIONS = {
    FLAT: "Limit enforcement and validation does not take project hierarchy into consideration.",
    STRICT: "This model requires project hierarchy never exceeds a depth of two",
}


def exceeds(limit: int, other: int) -> bool:
    """Whether the first allows more than the second."""
    return other >= 0 and (limit < 0 or limit > other)


def smaller(limit: int, other: int) -> int:
    return other if exceeds(limit, other) else limit


def child_fits(limit: int, of_domain: int | None, default: int) -> bool:
    """A project's limit may not be above its domain's, which is the default unless it has its own."""
    return not exceeds(limit, default if of_domain is None else of_domain)


def parent_fits(limit: int, of_projects: Iterable[int]) -> bool:
    """A domain's limit may not be below that of any of its projects."""
    return not any(exceeds(each, limit) for each in of_projects)
