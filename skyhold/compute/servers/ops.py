# SPDX-License-Identifier: Apache-2.0
"""Decisions about servers: create, update, delete, and what the instant actions do.

HTTP is api.py, queries store.py; whatever takes time is a saga (compute/sagas/). Each function is
one transaction, which also spans the services it calls: ports, quota and the saga's row are
written with the server or not at all.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Literal

import msgspec

from skyhold.compute import actions, keypairs, policy, server_groups, states, zones
from skyhold.compute.flavors import ops as flavors
from skyhold.compute.hosts import ZONE
from skyhold.compute.quotas import QUOTA
from skyhold.compute.servers import announce, placing, shape, store, volumes
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort
from skyhold.core.shapes import ABSENT
from skyhold.network import facade as network

LONGEST_NAME = 255
MOST_AT_ONCE = 1000
"""Servers of one request: they are made in one transaction, and others wait for it."""
REHEARSED = 20
"""Servers of one request that a rehearsal looks for hosts for: others wait meanwhile."""
OURS = "skyhold:"
"""Properties that the program itself keeps with a server; an image's owner may not set them."""
PLUGGABLE = (states.ACTIVE, states.PAUSED, states.STOPPED)
NOT_A_HOSTNAME = re.compile(r"[^a-z0-9-]+")


def create(tx: Tx, ctx: Context, want: shape.ServerCreate) -> list[Any]:
    """The new servers' rows, each with its ports and its boot saga.

    Raises Invalid for what can't be meant, and in a rehearsal for servers that fit nowhere; Forbidden, OverQuota,
    Conflict for ambiguous networks.
    """
    flavor = flavors.snapshot(flavors.lookup(tx, ctx, want.flavor))
    disks = volumes.planned(tx, ctx, want, flavor)
    count = max(want.min_count, want.max_count or want.min_count)
    if want.max_count is not None and want.max_count < want.min_count:
        raise errors.Invalid("min_count must be <= max_count")
    keys = chosen_key(tx, ctx, want.key_name)
    check_metadata(tx, ctx, want.metadata)
    host = forced_host(tx, ctx, want)
    with unknown_is_invalid():
        asks = network.plan(tx, ctx, port_asks(ctx, want))
    if count > 1 and any(ask.port_id or ask.fixed_ip for ask in asks):
        raise errors.Invalid("Unable to launch multiple instances with a single configured port ID or address.")
    if count > 1 and any(wish.named for wish in disks.wishes):
        raise errors.Invalid("Cannot attach one or more volumes to multiple instances")
    if want.min_count > MOST_AT_ONCE:
        raise errors.Invalid(f"min_count is {want.min_count}; at most {MOST_AT_ONCE} servers are made at once.")
    count = take_quota(tx, ctx, flavor, want.min_count, min(count, MOST_AT_ONCE))
    reservation = "r-" + ctx.new_id()[:8]
    made = [
        create_one(tx, ctx, want, flavor, disks, keys, asks, host, reservation, i, count) for i in range(count)
    ]
    if group := (want.hints or want.old_hints).get("group"):
        server_groups.join(tx, ctx, str(group), [server.id for server in made])
    if ctx.dry_run:
        rehearse(tx, ctx, made, disks)
    return made


def rehearse(tx: Tx, ctx: Context, made: list[Any], disks: volumes.Disks) -> None:
    """What the boots' sagas would find later. Raises Invalid with every host's reason when a server fits nowhere."""
    to_make = [wish for wish in disks.wishes if not wish.named]
    for server in made[:REHEARSED]:
        homes = volumes.homes(tx, ctx, server.id, to_make) if disks.wishes else []
        try:
            placing.place(tx, ctx, server.id, [], homes)
        except Abort as nowhere:
            raise errors.Invalid(str(nowhere), reason="no_valid_host") from None


def create_one(
    tx: Tx, ctx: Context, want: shape.ServerCreate, flavor: dict[str, Any], disks: volumes.Disks, keys: list[Any],
    asks: list[Any], host: str | None, reservation: str, index: int, count: int,
) -> Any:
    from skyhold.compute.sagas.boot import Boot

    name = want.name if count == 1 else numbered(want.name, index + 1)
    server = SERVERS_STORE.insert(
        tx, id=ctx.new_id(), project_id=ctx.project_id, user_id=ctx.user_id, name=name,
        hostname=hostname(want.hostname or name), description=want.description, state=states.BUILDING,
        task=states.SCHEDULING, power=states.POWER_NONE, image_id=disks.image_id, flavor_id=flavor["id"],
        flavor=flavor, key_name=want.key_name, keys=keys, user_data=decoded(want.user_data),
        config_drive=bool(want.config_drive) or disks.properties.get("img_config_drive") == "mandatory",
        metadata=want.metadata, properties=properties(disks, host), admin_pass=None,
        availability_zone=ZONE, pinned_zone=zone(tx, ctx, want.availability_zone)[0], reservation_id=reservation,
        launch_index=index, access_ip_v4=address(want.access_ip_v4), access_ip_v6=address(want.access_ip_v6),
        disk_config=want.disk_config, trusted_certs=want.trusted_image_certificates or None, revision=0,
    )
    store.put_tags(tx, ctx, server.id, want.tags)
    with unknown_is_invalid():
        network.create_ports(
            tx, ctx, asks, server_id=server.id, project_id=ctx.project_id, hostname=server.hostname,
            security_groups=[group.name for group in want.security_groups],
        )
    volumes.reserve_named(tx, ctx, server.id, disks.wishes)
    action = actions.begin(tx, ctx, server, "create")
    to_make = [msgspec.structs.replace(wish) for wish in disks.wishes if not wish.named]
    Boot.start(tx, ctx, subject=server.id, kept=Boot.Kept(
        action_id=action, to_make=to_make, has_volumes=bool(disks.wishes), asks_trust=bool(server.trusted_certs),
    ))
    journal.record(tx, "server.create.start", server)
    return server


def numbered(name: str, number: int) -> str:
    """The name of one of several servers, no longer than any may be."""
    tail = f"-{number}"
    return name[:LONGEST_NAME - len(tail)] + tail


def address(text: str | None) -> str:
    """As upstream shows it, shortened: the same address has one spelling; none is empty."""
    return str(ip_address(text)) if text else ""


def update(tx: Tx, ctx: Context, server_id: str, want: shape.ServerUpdate) -> Any:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    named = {
        "name": want.name, "access_ip_v4": want.access_ip_v4, "access_ip_v6": want.access_ip_v6,
        "disk_config": want.disk_config, "description": want.description, "hostname": want.hostname,
    }
    changes = {key: value for key, value in named.items() if value is not ABSENT}
    for key in ("access_ip_v4", "access_ip_v6"):
        if key in changes:
            changes[key] = address(changes[key])
    server = SERVERS_STORE.update(tx, server, **changes)
    journal.record(tx, "server.update", server)
    announce.push_metadata(tx, ctx, server)
    return server


def delete(tx: Tx, ctx: Context, server_id: str) -> None:
    """Always wins: a saga at work on the server unwinds, and the deletion follows in its last commit."""
    from skyhold.compute.sagas.delete import Delete

    server = SERVERS_STORE.get(tx, ctx, server_id)
    refuse_locked(ctx, server, "delete")
    if server.task != states.DELETING:
        actions.begin(tx, ctx, server, "delete")
        server = SERVERS_STORE.update(tx, server, task=states.DELETING)
        journal.record(tx, "server.delete.start", server)
    Delete.start(tx, ctx, subject=server.id, supersede=True)


# ---- instant actions -------------------------------------------------------------------------


def lock(tx: Tx, ctx: Context, server_id: str, reason: str | None) -> None:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    owner: Literal["admin", "owner"] = "owner" if ctx.project_id == server.project_id else "admin"
    if server.locked_by is not None and owner == "owner":
        # Else a member could turn an administrator's lock into one that members may open.
        return
    actions.begin(tx, ctx, server, "lock")
    server = SERVERS_STORE.update(tx, server, locked_by=owner, locked_reason=reason)
    journal.record(tx, "server.lock", server)


def unlock(tx: Tx, ctx: Context, server_id: str) -> None:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    if server.locked_by == "admin":
        ctx.demand(policy.UNLOCK_OVERRIDE, server._asdict())
    actions.begin(tx, ctx, server, "unlock")
    server = SERVERS_STORE.update(tx, server, locked_by=None, locked_reason=None)
    journal.record(tx, "server.unlock", server)


def add_group(tx: Tx, ctx: Context, server_id: str, name: str) -> None:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    actions.begin(tx, ctx, server, "addSecurityGroup")
    network.add_security_group(tx, ctx, server.id, name)
    announce.push_metadata(tx, ctx, server)


def remove_group(tx: Tx, ctx: Context, server_id: str, name: str) -> None:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    actions.begin(tx, ctx, server, "removeSecurityGroup")
    network.remove_security_group(tx, ctx, server.id, name)
    announce.push_metadata(tx, ctx, server)


def reset_state(tx: Tx, ctx: Context, server_id: str, state: str) -> None:
    """An administrator's word on what the server is; refused while a saga knows better."""
    from skyhold.core.saga import rows

    server = SERVERS_STORE.get(tx, ctx, server_id)
    if kind := rows.live(tx, ctx, server.id):
        raise errors.Conflict(f"Instance {server.id} is busy: {kind} is under way and will end by itself.")
    server = SERVERS_STORE.update(tx, server, state=state, task=None)
    journal.record(tx, "server.reset_state", server)


# ---- rules shared by operations ---------------------------------------------------------------


def refuse_locked(ctx: Context, server: Any, verb: str) -> None:
    if server.locked_by is not None and not ctx.allows(policy.UNLOCK_OVERRIDE, server._asdict()):
        reason = f" ({server.locked_reason})" if server.locked_reason else ""
        raise errors.Conflict(
            f"Instance {server.id} is locked by its {server.locked_by}{reason}: unlock it first to {verb}.",
            reason="locked",
        )


def ready(tx: Tx, ctx: Context, server_id: str, verb: str, *allowed: str) -> Any:
    """The server, free for a new task: not locked, in one of these states, nothing under way."""
    server = SERVERS_STORE.get(tx, ctx, server_id)
    refuse_locked(ctx, server, verb)
    if server.task is not None:
        raise errors.Conflict(
            f"Cannot '{verb}' instance {server.id} while it is in task_state {server.task}",
            state=server.task,
        )
    if server.state not in allowed:
        raise errors.Conflict(
            f"Cannot '{verb}' instance {server.id} while it is in vm_state {server.state}",
            state=server.state, needs=list(allowed),
        )
    return server


def placed(tx: Tx, ctx: Context, server_id: str, verb: str) -> Any:
    """The server, free to have something plugged in or pulled out where it runs."""
    server = ready(tx, ctx, server_id, verb, *PLUGGABLE)
    if server.host_id is None:
        raise errors.Conflict(f"Instance {server_id} has no host.")
    return server


def chosen_key(tx: Tx, ctx: Context, name: str | None) -> list[dict[str, str]]:
    if name is None:
        return []
    rows = keypairs.store.page(
        tx, ctx, filters=[("user_id", "eq", ctx.user_id), ("name", "eq", name)], may=policy.KEYPAIRS_SHOW
    )
    if not rows:
        raise errors.Invalid("Invalid key_name provided.", reason="key_not_found")
    return [{"name": name, "type": rows[0].type, "data": rows[0].public_key}]


def port_asks(ctx: Context, want: shape.ServerCreate) -> Any:
    """What the network service is asked to plan: a list, `auto`, `none`, or None when unsaid."""
    given = want.networks if want.wanted_networks is ABSENT else want.wanted_networks
    if given is None or isinstance(given, str):
        return given
    return [
        network.PortAsk(
            network_id=ask.uuid, port_id=ask.port, fixed_ip=ask.fixed_ip, tag=ask.tag,
        )
        for ask in given
    ]


@contextmanager
def unknown_is_invalid() -> Iterator[None]:
    """A network or group that isn't there makes the wish wrong, not the path: 400, as Nova answers."""
    try:
        yield
    except errors.NotFound as error:
        raise errors.Invalid(error.message, reason="unknown_part") from None


def check_metadata(tx: Tx, ctx: Context, metadata: dict[str, str]) -> None:
    if not metadata:
        return
    limit = QUOTA.limits(tx, ctx.project_id)["metadata_items"]
    if 0 <= limit < len(metadata):
        raise errors.OverQuota(
            f"Quota exceeded for metadata_items: requested {len(metadata)}, but already used 0 of {limit}.",
            resource="metadata_items", used=0, limit=limit, asked=len(metadata),
        )


def take_quota(tx: Tx, ctx: Context, flavor: dict[str, Any], least: int, most: int) -> int:
    """Quota for as many servers as fit between the counts; OverQuota when not even the least do."""
    if most > least:
        limits, used = QUOTA.limits(tx, ctx.project_id), QUOTA.usage(tx, ctx.project_id)
        of_one = {"instances": 1, **cost(flavor)}
        left = [(limits[name] - used[name]) // n for name, n in of_one.items() if n and limits[name] >= 0]
        most = max(least, min([most, *left]))
    for count in range(most, least - 1, -1):
        try:
            with tx.nested():
                QUOTA.take(tx, ctx.project_id, instances=count, **cost(flavor, count))
            return count
        except errors.OverQuota:
            if count == least:
                raise
    raise AssertionError("unreachable")


def cost(flavor: dict[str, Any], count: int = 1) -> dict[str, int]:
    return {"cores": flavor["vcpus"] * count, "ram": flavor["ram_mb"] * count}


def zone(tx: Tx, ctx: Context, asked: str | None) -> tuple[str | None, str | None]:
    """`zone[:host]`; a zone that doesn't exist is Invalid."""
    if asked is None:
        return None, None
    name, _, host = asked.partition(":")
    if name and name != ZONE and name not in zones.zones_of_hosts(tx, ctx).values():
        raise errors.Invalid(
            f"The requested availability zone is not available: no host is in {name[:255]}", reason="zone_not_found"
        )
    return name or None, host or None


def forced_host(tx: Tx, ctx: Context, want: shape.ServerCreate) -> str | None:
    """The host that was named, if the caller may name one."""
    named = next((h for h in (want.host, want.hypervisor_hostname) if isinstance(h, str)), None)
    named = named or zone(tx, ctx, want.availability_zone)[1]
    if named:
        ctx.demand(policy.FORCED_HOST, {"project_id": ctx.project_id})
    return named


def properties(disks: volumes.Disks, host: str | None) -> dict[str, str]:
    """What the driver may honour; a forced host rides along, since placing happens later."""
    given = {key: value for key, value in disks.properties.items() if not key.startswith(OURS)}
    return given | ({OURS + "host": host} if host else {})


def decoded(user_data: str | None) -> bytes | None:
    return base64.b64decode(user_data) if user_data else None


def hostname(name: str) -> str:
    """A legal host name made of a server's name, as Nova makes it."""
    return NOT_A_HOSTNAME.sub("-", name.lower()).strip("-")[:63] or "server"
