# SPDX-License-Identifier: Apache-2.0
"""Queries about servers.

What a server may become is ops.py and states.py. Deleted servers stay as rows for `deleted=`,
`changes-since` and usage; every ordinary look-up leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.compute import states
from skyhold.compute.tables import HOSTS, SERVER_TAGS, SERVERS
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store

SECRETS = ("user_data", "admin_pass")
COMMON: dict[str, Any] = {
    "service": "compute", "kind": "server", "label": "Instance", "states": states.SERVER, "secrets": SECRETS,
}

SERVERS_STORE = Store(SERVERS, alive=SERVERS.c.deleted_at.is_(None), **COMMON)
ALL_STORE = Store(SERVERS, **COMMON)
"""Deleted ones too: for lists that ask for them."""

TAGS_OF = (
    sa.select(SERVER_TAGS.c.server_id, SERVER_TAGS.c.tag)
    .where(among(SERVER_TAGS.c.server_id, "ids"))
    .order_by(SERVER_TAGS.c.tag)
)

KNOWN = sa.select(SERVERS.c.id).where(among(SERVERS.c.id, "ids"))


def tags(tx: Tx, ctx: Context, server_ids: Sequence[str]) -> dict[str, list[str]]:
    """Tags of many servers, sorted."""
    found: dict[str, list[str]] = {}
    for part in chunks(server_ids):
        for server_id, tag in tx.all(TAGS_OF, {"ids": part}):
            found.setdefault(server_id, []).append(tag)
    return found


def put_tags(tx: Tx, ctx: Context, server_id: str, names: Sequence[str]) -> None:
    if names:
        tx.execute(SERVER_TAGS.insert(), [{"server_id": server_id, "tag": name} for name in sorted(set(names))])


def of_project(tx: Tx, project_id: str) -> list[str]:
    """Ids of its servers that aren't deleted."""
    alive = SERVERS.c.deleted_at.is_(None)
    return [row.id for row in tx.all(sa.select(SERVERS.c.id).where(SERVERS.c.project_id == project_id, alive))]


def tagged(all_of: Sequence[str], any_of: Sequence[str]) -> list[Any]:
    """Clauses: servers that have all these tags, and one of those."""
    wanted = ([having_all(all_of)] if all_of else []) + ([having_any(any_of)] if any_of else [])
    return [SERVERS.c.id.in_(each) for each in wanted]


def having_any(names: Sequence[str]) -> Any:
    return sa.select(SERVER_TAGS.c.server_id).where(SERVER_TAGS.c.tag.in_(names))


def having_all(names: Sequence[str]) -> Any:
    counted = sa.func.count(SERVER_TAGS.c.tag.distinct()) == len(set(names))
    return having_any(names).group_by(SERVER_TAGS.c.server_id).having(counted)


def host_names(tx: Tx, ctx: Context) -> dict[str, Any]:
    """Every host's row by id: there are few hosts, many servers."""
    return {row.id: row for row in tx.all(sa.select(HOSTS))}


def on_host(tx: Tx, ctx: Context, host_id: str) -> list[Any]:
    """All living servers of a host."""
    statement = sa.select(SERVERS).where(SERVERS.c.host_id == host_id, SERVERS.c.deleted_at.is_(None))
    return [SERVERS_STORE.Row._make(row) for row in tx.all(statement)]


def known(tx: Tx, ctx: Context, ids: Sequence[str]) -> set[str]:
    """Which of these are servers, or were."""
    return {row.id for part in chunks(ids) for row in tx.all(KNOWN, {"ids": part})}


def chunks(ids: Sequence[str], size: int = 5000) -> list[Sequence[str]]:
    """Databases bound the parameters of one statement."""
    return [ids[i : i + size] for i in range(0, len(ids), size)]
