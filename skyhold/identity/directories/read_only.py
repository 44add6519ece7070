# SPDX-License-Identifier: Apache-2.0
"""What comes from a directory is changed there: here such users and groups are refused every change.

The tables are asked and not the directory, so this may be called inside a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.identity.tables import DOMAIN_CONFIGS, ID_MAPPINGS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

DRIVER = "ldap"
M = ID_MAPPINGS.c
GONE = sa.select(M.id).where(M.gone.is_(True))
"""Ids of users and groups that are in their directory no more: stores leave them out."""


def refuse_change(tx: Tx, id: str, kind: str) -> None:
    """Raises Forbidden for a user or group that a directory keeps."""
    if tx.first(sa.select(M.id).where(M.id == id)) is not None:
        raise errors.Forbidden(
            f"The {kind} {id} is kept in a directory that is only read here: change it there.",
            reason="read_only_directory",
        )


def refuse_new(tx: Tx, domain_id: str, kind: str) -> None:
    """Raises Forbidden in a domain whose users and groups a directory keeps."""
    options = tx.scalar(sa.select(DOMAIN_CONFIGS.c.options).where(DOMAIN_CONFIGS.c.id == domain_id))
    if options and options.get("identity", {}).get("driver") == DRIVER:
        raise errors.Forbidden(
            f"The {kind}s of domain {domain_id} are kept in a directory that is only read here: make it there.",
            reason="read_only_directory",
        )
