# SPDX-License-Identifier: Apache-2.0
"""Lists of servers: filters, pages and who may ask for what.

Single look-ups are store.py. Filters that only an administrator may use are ignored for others,
as Nova does; sorting is by keyset, so that pages stay stable while servers come and go.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from skyhold.compute import hosts, policy, states
from skyhold.compute.links import next_links, page_size
from skyhold.compute.servers import shape, store, views
from skyhold.compute.tables import SERVERS
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import Page
from skyhold.core.store import Filter, like_escape
from skyhold.core.wire.fields import fields_of
from skyhold.core.wire.formats import microseconds
from skyhold.network import facade as network

SORTABLE = {
    "created_at": "created_at", "updated_at": "updated_at", "uuid": "id", "id": "id", "display_name": "name",
    "name": "name", "host": "host_id", "vm_state": "state", "task_state": "task", "power_state": "power",
    "key_name": "key_name", "launched_at": "launched_at", "image_ref": "image_id", "project_id": "project_id",
    "user_id": "user_id", "hostname": "hostname", "availability_zone": "availability_zone",
    "instance_type_id": "flavor_id", "display_description": "description", "launch_index": "launch_index",
    "terminated_at": "terminated_at", "access_ip_v4": "access_ip_v4", "access_ip_v6": "access_ip_v6",
    "config_drive": "config_drive", "locked": "locked_by",
}
EQUAL = {
    "image": "image_id", "flavor": "flavor_id", "uuid": "id", "key_name": "key_name",
    "availability_zone": "availability_zone", "user_id": "user_id", "reservation_id": "reservation_id",
    "vm_state": "state", "task_state": "task", "config_drive": "config_drive",
}
HEAD = ("id", "host_id", "revision")
BRIEF = ("id", "name")
UNSEEN = ("keys", "properties", "admin_pass")
MOST_FOUND = 5000
"""By address: databases bound the values in a statement. Whoever asks for more is told so."""
POWER = re.compile("[0-9]{1,9}")
LIKE = {"name": "name", "description": "description", "hostname": "hostname"}


def briefs(tx: Tx, ctx: Context, query: shape.ServerQuery) -> Page:
    rows = rows_of(tx, ctx, query, only=BRIEF)
    return Page([views.brief(ctx, row) for row in rows], following(ctx, query, rows, ""))


def details(tx: Tx, ctx: Context, query: shape.ServerQuery) -> Page:
    heads = rows_of(tx, ctx, query, only=HEAD)
    everything = partial(store.ALL_STORE.many, tx, without=unseen(ctx))
    return Page(views.rendered(tx, ctx, heads, everything), following(ctx, query, heads, "/detail"))


def rows_of(tx: Tx, ctx: Context, query: shape.ServerQuery, only: tuple[str, ...]) -> list[Any]:
    """One page of rows with these columns."""
    limit = page_size(ctx, query.limit)
    if limit == 0:
        return []
    everyone = all_projects(ctx, query)
    filters = filters_of(tx, ctx, query, everyone)
    if filters is None:
        return []
    if not everyone:
        filters.append(("project_id", "eq", ctx.project_id))
    kind = store.ALL_STORE if wants_deleted(ctx, query) else store.SERVERS_STORE
    try:
        return kind.page(
            tx, ctx, filters=filters, sort=sorting(query), limit=limit, marker=query.marker,
            where=tag_clauses(query), may=policy.SERVERS_ALL if everyone else None, only=only,
        )
    except errors.Invalid as error:
        if error.reason == "marker_not_found":
            raise errors.Invalid(f"marker [{query.marker}] not found", reason=error.reason) from None
        raise


def unseen(ctx: Context) -> tuple[str, ...]:
    """Columns that no list prints for this caller; user data is up to 64 KiB a server."""
    return UNSEEN if ctx.allows(policy.HOST_ATTRIBUTES, None) else (*UNSEEN, "user_data")


def all_projects(ctx: Context, query: shape.ServerQuery) -> bool:
    if query.all_tenants is None or query.all_tenants.lower() in ("0", "false", "no", "off"):
        return False
    if query.all_tenants.lower() not in ("", "1", "true", "yes", "on"):
        raise errors.Invalid(f"Invalid value '{query.all_tenants[:50]}' for all_tenants.")
    ctx.demand(policy.SERVERS_ALL)
    return True


def is_admin(ctx: Context) -> bool:
    return ctx.allows(policy.SERVERS_ALL, None)


def wants_deleted(ctx: Context, query: shape.ServerQuery) -> bool:
    if "DELETED" in [word.upper() for word in query.status] and not is_admin(ctx):
        raise errors.Forbidden(
            "Only administrators may list deleted servers: "
            + ctx.core.policy.explain(policy.SERVERS_ALL.name, ctx.creds)
        )
    asked = query.deleted and is_admin(ctx)
    return bool(query.changes_since or asked or "DELETED" in [w.upper() for w in query.status])


def filters_of(tx: Tx, ctx: Context, query: shape.ServerQuery, everyone: bool) -> list[Filter] | None:
    """Conditions on rows; None when nothing can match."""
    found: list[Filter] = []
    for name, column in EQUAL.items():
        value = getattr(query, name)
        if value is not None:
            found.append((column, "eq", value))
    for name, column in LIKE.items():
        value = getattr(query, name)
        if value is not None:
            found.append((column, "like", like(value)))
    project = query.project_id or query.tenant_id
    if project is not None and is_admin(ctx):
        found.append(("project_id", "eq", project))
    if isinstance(query.locked, bool):
        found.append(("locked_by", "notnull" if query.locked else "isnull", None))
    if query.deleted and is_admin(ctx):
        found.append(("deleted_at", "notnull", None))
    if query.power_state is not None:
        if not POWER.fullmatch(query.power_state):
            raise errors.Invalid(f"Invalid power_state: {query.power_state[:50]} is no number.")
        found.append(("power", "eq", int(query.power_state)))
    if not add_states(found, query) or not add_host(tx, ctx, found, query):
        return None
    add_times(found, query)
    return found if add_addresses(tx, ctx, found, query, everyone) else None


def like(pattern: str) -> str:
    """Nova takes a regular expression here; people write fragments, anchors and `.*`, and those are kept."""
    start, end = "" if pattern.startswith("^") else "%", "" if pattern.endswith("$") else "%"
    return start + like_escape(pattern.removeprefix("^").removesuffix("$")).replace(".*", "%") + end


def add_states(found: list[Filter], query: shape.ServerQuery) -> bool:
    if not query.status:
        return True
    words = {word.upper() for word in query.status}
    wanted = {states.STATES_OF_STATUS[word] for word in words if word in states.STATES_OF_STATUS}
    if not wanted:
        return False
    found.append(("state", "in", sorted(wanted)))
    if words == {"REBOOT"}:
        found.append(("task", "eq", states.REBOOTING))
    return True


def add_host(tx: Tx, ctx: Context, found: list[Filter], query: shape.ServerQuery) -> bool:
    if query.host is None or not is_admin(ctx):
        return True
    ids = [row.id for row in hosts.everyone(tx, ctx) if row.name == query.host]
    found.append(("host_id", "in", ids))
    return bool(ids)


def add_times(found: list[Filter], query: shape.ServerQuery) -> None:
    for text, op, name in (
        (query.changes_since, "ge", "changes-since"), (query.changes_before, "le", "changes-before"),
    ):
        if text is None:
            continue
        try:
            found.append(("updated_at", op, microseconds(text)))
        except (ValueError, errors.Invalid):
            raise errors.Invalid(f"Invalid {name} value: {text[:50]}") from None


def add_addresses(tx: Tx, ctx: Context, found: list[Filter], query: shape.ServerQuery, everyone: bool) -> bool:
    asked = [text for text in (query.ip, query.ip6) if text is not None]
    # Projects use the same addresses: of all servers that have one, most are others'.
    project = (query.project_id or query.tenant_id or "") if everyone else ctx.project_id
    mine = store.of_project(tx, project) if asked and (project or not everyone) else None
    for text in asked:
        ids = network.servers_by_address(tx, ctx, text.strip("^$"), mine)
        if not ids:
            return False
        if len(ids) > MOST_FOUND:
            raise errors.Invalid(
                f"More than {MOST_FOUND} servers have an address with {text[:50]}. "
                "Ask for more of the address, or with project_id for those of one project."
            )
        found.append(("id", "in", ids))
    return True


def tag_clauses(query: shape.ServerQuery) -> list[Any]:
    def names(value: Any) -> list[str]:
        return [name for name in value.split(",") if name] if isinstance(value, str) else []

    clauses = store.tagged(names(query.tags), names(query.tags_any))
    if without := names(query.not_tags):
        clauses.append(SERVERS.c.id.not_in(store.having_all(without)))
    if without_any := names(query.not_tags_any):
        clauses.append(SERVERS.c.id.not_in(store.having_any(without_any)))
    return clauses


def sorting(query: shape.ServerQuery) -> list[tuple[str, str]]:
    if not query.sort_key:
        return [("created_at", "desc"), ("id", "desc")]
    order = []
    for i, key in enumerate(query.sort_key):
        if key not in SORTABLE:
            raise errors.Invalid(f"Invalid sort key: {key[:50]}")
        direction = query.sort_dir[i] if i < len(query.sort_dir) else "desc"
        if direction not in ("asc", "desc"):
            raise errors.Invalid(f"Invalid sort direction: {direction[:50]}")
        order.append((SORTABLE[key], direction))
    return order


def following(ctx: Context, query: shape.ServerQuery, rows: list[Any], tail: str) -> Any:
    """The link to the next page, which asks for everything that this one was asked."""
    asked = {spec.wire: getattr(query, name) for name, spec in fields_of(shape.ServerQuery).items()}
    return next_links(ctx, "servers" + tail, asked, page_size(ctx, query.limit), [row.id for row in rows])

