# SPDX-License-Identifier: Apache-2.0
"""The words of placement: standard resource classes and traits, and which names custom ones may have.

Custom names are stored by resource_classes.py and traits.py. The one thing to know first: the
standard names come from the libraries of the OpenStack project and are loaded when first asked
for, since most starts of the program never need all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import journal
from skyhold.core.store import Store
from skyhold.placement.tables import CUSTOM_CLASSES, CUSTOM_TRAITS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

SHARING = "MISC_SHARES_VIA_AGGREGATE"
CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]+")
CUSTOM_PATTERN = r"^CUSTOM_[A-Z0-9_]+$"
WORD_PATTERN = r"^[A-Z0-9_]+$"
CLASSES = Store(CUSTOM_CLASSES, service="placement", kind="resource_class", label="Resource class", key="name")
TRAITS = Store(CUSTOM_TRAITS, service="placement", kind="trait", label="Trait", key="name")


@cache
def standard_classes() -> tuple[str, ...]:
    from os_resource_classes import STANDARDS

    return tuple(STANDARDS)


@cache
def standard_traits() -> frozenset[str]:
    from os_traits import get_traits

    return frozenset(get_traits())


def is_custom(name: str) -> bool:
    """Whether a custom trait or class may be called this."""
    return len(name) <= 255 and CUSTOM.fullmatch(name) is not None


def unknown_classes(tx: Tx, names: Iterable[str]) -> list[str]:
    """Those that are neither standard nor stored, sorted."""
    return _unknown(tx, set(names).difference(standard_classes()), CUSTOM_CLASSES)


def unknown_traits(tx: Tx, names: Iterable[str]) -> list[str]:
    return _unknown(tx, set(names) - standard_traits(), CUSTOM_TRAITS)


def _unknown(tx: Tx, names: set[str], table: sa.Table) -> list[str]:
    if not names:
        return []
    known = tx.all(staying(tx, sa.select(table.c.name).where(table.c.name.in_(names))))
    return sorted(names.difference(row.name for row in known))


def staying(tx: Tx, statement: Any) -> Any:
    """In a write, names that were found stay until the commit."""
    return statement.with_for_update(read=True, key_share=True) if tx.writing else statement


def learn_classes(tx: Tx, names: Iterable[str]) -> list[str]:
    """Store custom classes that a machine reports and nobody has declared yet; those that are new by it."""
    return _learn(tx, unknown_classes(tx, names), CLASSES)


def learn_traits(tx: Tx, names: Iterable[str]) -> list[str]:
    return _learn(tx, unknown_traits(tx, names), TRAITS)


def record(tx: Tx, action: str, store: Store, name: str) -> None:
    """Words belong to no project, yet who brought or took one is written down as of anything else."""
    journal.record(tx, f"{store.kind}.{action}", store.Row(name=name, created_at=tx.now))


def _learn(tx: Tx, names: list[str], store: Store) -> list[str]:
    new = []
    for name in names:
        if not is_custom(name):
            raise ValueError(f"{name!r} is neither a standard name nor one that starts with CUSTOM_")
        # Another may be first.
        if tx.add(store.table, {"name": name, "created_at": tx.now}):
            record(tx, "create", store, name)
            new.append(name)
    return new
