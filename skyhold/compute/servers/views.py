# SPDX-License-Identifier: Apache-2.0
"""How rows become the wire forms of servers.

The forms are shape.py. What a list needs from other services is read once for all its rows, so a
page of a thousand costs as many queries as a page of one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from skyhold.compute import server_groups, states, versions
from skyhold.compute.hosts import is_up
from skyhold.compute.servers import shape, store, volumes
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.fragments import fragments
from skyhold.core.shapes import ABSENT, Rendered
from skyhold.network import facade as network

PROGRESS = {"BUILD": 0, "ACTIVE": 0, "REBOOT": 0, "HARD_REBOOT": 0}


def links(ctx: Context, kind: str, id: str) -> list[dict[str, str]]:
    base = compute_url(ctx)
    return [
        {"rel": "self", "href": f"{base}/v2.1/{kind}/{id}"},
        {"rel": "bookmark", "href": f"{base}/{kind}/{id}"},
    ]


def compute_url(ctx: Context) -> str:
    """Put together once a process: a list of a thousand servers holds it five thousand times."""
    found: str | None = ctx.core.shelf.get("compute.url")
    if found is None:
        found = ctx.core.shelf["compute.url"] = ctx.core.settings.public_url + "/compute"
    return found


def brief(ctx: Context, row: Any) -> shape.ServerBrief:
    return shape.ServerBrief(id=row.id, name=row.name, links=links(ctx, "servers", row.id))


class Around(NamedTuple):
    """What is shown with a server but isn't in its row: its JSON is kept by all of this, so a new part belongs here."""

    cards: network.ShownCards
    tags: tuple[str, ...]
    host: tuple[str, str] | None
    """Its name and status."""
    groups: tuple[str, ...]
    volumes: tuple[tuple[str, bool], ...] = ()
    """The id of each, and whether it goes with the server."""


def full(tx: Tx, ctx: Context, rows: list[Any]) -> list[shape.Server]:
    """Whole servers, in six queries or so however many they are."""
    return [one(ctx, row, beside) for row, beside in zip(rows, around(tx, ctx, rows), strict=True)]


def rendered(tx: Tx, ctx: Context, heads: list[Any], read: Callable[[list[str]], list[Any]]) -> Rendered:
    """The same as JSON: only of servers that changed since somebody saw them `read(ids)` is asked for the rows.

    `heads` are id, host_id and revision of each: every change of a server's row gives it another revision. One that
    goes before its row is read is left out.
    """
    kept, beside = fragments(ctx.core, "compute.servers", shape.Server).seen_by(ctx), around(tx, ctx, heads)
    found = [kept.get(head.id, (head.revision, own)) for head, own in zip(heads, beside, strict=True)]
    missing = {heads[i].id: i for i, text in enumerate(found) if text is None}
    for row in read(list(missing)) if missing else ():
        i = missing[row.id]
        found[i] = kept.make(row.id, (row.revision, beside[i]), one(ctx, row, beside[i]))
    return Rendered(text for text in found if text is not None)


def around(tx: Tx, ctx: Context, heads: list[Any]) -> list[Around]:
    ids = [head.id for head in heads]
    cards, none = network.shown_cards(tx, ctx, ids), network.ShownCards()
    tags, groups = store.tags(tx, ctx, ids), server_groups.groups_of(tx, ctx, ids)
    hosts = {row.id: (row.name, host_status(row, tx.now)) for row in store.host_names(tx, ctx).values()}
    attached = volumes.attached(tx, ctx, ids)
    return [
        Around(
            cards.get(id, none), tuple(tags.get(id, ())), hosts.get(head.host_id), tuple(groups.get(id, ())),
            attached.get(id, ()),
        )
        for id, head in zip(ids, heads, strict=True)
    ]


def one(ctx: Context, row: Any, beside: Around) -> shape.Server:
    status = states.status(row.state, row.task)
    host_name, host_state = beside.host or (None, "")
    base = compute_url(ctx)
    return shape.Server(
        id=row.id, name=row.name, status=status, tenant_id=row.project_id, user_id=row.user_id,
        metadata=row.metadata, host_hash=host_hash(row.project_id, row.host_id),
        image=image_link(base, row.image_id), flavor=flavor(ctx, row.flavor),
        created=row.created_at, updated=row.updated_at, addresses=addresses(beside.cards.addresses),
        access_ip_v4=row.access_ip_v4, access_ip_v6=row.access_ip_v6, links=links(ctx, "servers", row.id),
        disk_config=row.disk_config, progress=progress(status), fault=fault(row, status),
        zone=row.availability_zone, config_drive="True" if row.config_drive else "", key_name=row.key_name,
        launched_at=row.launched_at, terminated_at=row.terminated_at,
        security_groups=[{"name": name} for name in beside.cards.groups] or ABSENT,
        task=row.task, state=row.state, power=row.power, volumes=attached(ctx, beside.volumes),
        host=host_name, hypervisor=host_name, instance_name=instance_name(row.id),
        reservation_id=row.reservation_id, launch_index=row.launch_index, admin_hostname=row.hostname,
        hostname=row.hostname, kernel_id="", ramdisk_id="", root_device="/dev/vda",
        user_data=base64.b64encode(row.user_data).decode() if row.user_data else None,
        locked=row.locked_by is not None, host_status=host_state, description=row.description,
        tags=list(beside.tags), server_groups=list(beside.groups), locked_reason=row.locked_reason,
        pinned_zone=row.pinned_zone, trusted_image_certificates=row.trusted_certs,
    )


def attached(ctx: Context, volumes: tuple[tuple[str, bool], ...]) -> list[dict[str, Any]]:
    """`os-extended-volumes:volumes_attached`; since 2.3 with whether they go with the server."""
    if ctx.version < versions.WHEN_VOLUMES_GO:
        return [{"id": id} for id, _ in volumes]
    return [{"id": id, "delete_on_termination": goes} for id, goes in volumes]


def instance_name(server_id: str) -> str:
    return f"instance-{server_id[:8]}"


@lru_cache(maxsize=4096)
def host_hash(project_id: str, host_id: str | None) -> str:
    """Tells a project whether two of its servers share a host, and nobody which host."""
    return hashlib.sha224(f"{project_id}{host_id}".encode()).hexdigest() if host_id else ""


@lru_cache(maxsize=4096)
def image_link(base: str, image_id: str) -> Any:
    """Many servers of a list have the same image, and so one object of it."""
    if not image_id:
        return ""
    return {"id": image_id, "links": [{"rel": "bookmark", "href": f"{base}/images/{image_id}"}]}


def flavor(ctx: Context, kept: dict[str, Any]) -> dict[str, Any]:
    """Up to 2.46 a link; since 2.47 the flavor as it was when the server was made."""
    if ctx.version < versions.FLAVOR_EMBEDDED:
        href = f"{compute_url(ctx)}/flavors/{kept['id']}"
        return {"id": kept["id"], "links": [{"rel": "bookmark", "href": href}]}
    return {
        "vcpus": kept["vcpus"], "ram": kept["ram_mb"], "disk": kept["disk_gb"],
        "ephemeral": kept["ephemeral_gb"], "swap": kept["swap_mb"], "original_name": kept["name"],
        "extra_specs": kept["extra_specs"],
    }


def addresses(cards: Sequence[network.ShownAddress]) -> dict[str, list[dict[str, Any]]]:
    """By network name: fixed addresses and the floating ones that stand for them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for network_name, mac, ip, floating_ip in cards:
        entries = found.setdefault(network_name, [])
        if ip:
            entries.append(address(ip, 6 if ":" in ip else 4, mac, "fixed"))
        if floating_ip:
            entries.append(address(floating_ip, 4, mac, "floating"))
    return found


def address(ip: str, version: int, mac: str, kind: str) -> dict[str, Any]:
    return {"version": version, "addr": ip, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}


def progress(status: str) -> Any:
    """Only for states in which Nova prints it: work that is under way or well ended."""
    return PROGRESS.get(status, ABSENT)


def fault(row: Any, status: str) -> Any:
    return shape.Fault(**row.fault) if row.fault and status in ("ERROR", "DELETED") else ABSENT


def host_status(host: Any, now_us: int) -> str:
    if not host.enabled:
        return "MAINTENANCE"
    return "UP" if is_up(host, now_us) else "DOWN"
