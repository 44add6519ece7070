# SPDX-License-Identifier: Apache-2.0
"""What a recount finds: quota usage against what is there, and rows that refer to nothing.

It reads the database alone and knows the tables of all services; comparing with hosts and the data plane is
`skyhold admin audit`. A function here takes `ask`, which runs a statement and answers its rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.compute import tables as compute
from skyhold.core.tables import QUOTA_USAGES, SAGAS
from skyhold.events import tables as events
from skyhold.identity import tables as identity
from skyhold.image import quotas as image_quotas
from skyhold.image import tables as image
from skyhold.network import tables as network
from skyhold.object import audit as objects
from skyhold.placement import tables as placement
from skyhold.volume import states as volume_states
from skyhold.volume import tables as volume

Ask = Callable[[Any], Sequence[Any]]
DHCP_DEVICE = "dhcp-"


def drift(ask: Ask) -> list[str]:
    """Where the usage that quota keeps differs from a recount, and by how many."""
    off = Counter({(row.project_id, row.resource): row.used for row in ask(sa.select(QUOTA_USAGES))})
    off.subtract(recount(ask))
    return [
        f"quota of {project} counts {n:+d} {resource} that are not there"
        for (project, resource), n in sorted(off.items()) if n
    ]


def recount(ask: Ask) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in ask(sa.select(compute.SERVERS).where(compute.SERVERS.c.deleted_at.is_(None))):
        found[row.project_id, "compute:instances"] += 1
        found[row.project_id, "compute:cores"] += row.flavor["vcpus"]
        found[row.project_id, "compute:ram"] += row.flavor["ram_mb"]
    for row in ask(sa.select(compute.KEYPAIRS.c.user_id)):
        found[row.user_id, "compute:key_pairs"] += 1
    for row in ask(sa.select(compute.SERVER_GROUPS.c.project_id)):
        found[row.project_id, "compute:server_groups"] += 1
    for row in ask(sa.select(image.IMAGES)):
        for resource, amount in image_quotas.held(row).items():
            found[row.project_id, f"image:{resource}"] += amount
    for resource, table in (
        ("network", network.NETWORKS), ("subnet", network.SUBNETS), ("router", network.ROUTERS),
        ("floatingip", network.FLOATING_IPS), ("security_group", network.SECURITY_GROUPS),
        ("security_group_rule", network.SECURITY_RULES),
    ):
        for row in ask(sa.select(table.c.project_id)):
            found[row.project_id, f"network:{resource}"] += 1
    for row in ask(sa.select(volume.VOLUMES)):
        found[row.project_id, "volume:volumes"] += 1
        found[row.project_id, "volume:gigabytes"] += row.growing_gib or row.size_gib
    for row in ask(sa.select(volume.SNAPSHOTS)):
        found[row.project_id, "volume:snapshots"] += 1
        found[row.project_id, "volume:gigabytes"] += row.size_gib
    for row in ask(sa.select(events.WEBHOOKS.c.project_id)):
        found[row.project_id, "events:webhooks"] += 1
    for row in ask(sa.select(network.PORTS.c.project_id, network.PORTS.c.device_id)):
        # What the cloud makes for itself is nobody's.
        if row.project_id and not row.device_id.startswith(DHCP_DEVICE):
            found[row.project_id, "network:port"] += 1
    return +found


REFERENCES = [
    # (column, what it must be found in)
    (identity.PROJECTS.c.domain_id, identity.PROJECTS.c.id),
    (identity.PROJECTS.c.parent_id, identity.PROJECTS.c.id),
    (identity.USERS.c.domain_id, identity.PROJECTS.c.id),
    (identity.GROUPS.c.domain_id, identity.PROJECTS.c.id),
    (identity.REGIONS.c.parent_region_id, identity.REGIONS.c.id),
    (identity.APP_CREDENTIALS.c.project_id, identity.PROJECTS.c.id),
    (placement.PROVIDERS.c.parent_id, placement.PROVIDERS.c.id),
    (placement.PROVIDERS.c.root_id, placement.PROVIDERS.c.id),
    (network.POOLS.c.subnet_id, network.SUBNETS.c.id),
    (network.HOLES.c.subnet_id, network.SUBNETS.c.id),
    (network.ADDRESSES.c.subnet_id, network.SUBNETS.c.id),
    (network.ADDRESSES.c.port_id, network.PORTS.c.id),
    (network.PORT_GROUPS.c.port_id, network.PORTS.c.id),
    (network.ROUTERS.c.gateway_port_id, network.PORTS.c.id),
    (network.FLOATING_IPS.c.own_port_id, network.PORTS.c.id),
    (network.FLOATING_IPS.c.port_id, network.PORTS.c.id),
    (network.FLOATING_IPS.c.router_id, network.ROUTERS.c.id),
    (network.SECURITY_RULES.c.remote_group_id, network.SECURITY_GROUPS.c.id),
    (compute.SERVERS.c.host_id, compute.HOSTS.c.id),
    (volume.VOLUMES.c.host_id, volume.POOLS.c.id),
    (volume.SNAPSHOTS.c.host_id, volume.POOLS.c.id),
]


def strays(ask: Ask) -> list[str]:
    """Rows that refer to something that isn't there."""
    found = []
    for column, target in REFERENCES:
        other = target.table.alias()
        statement = sa.select(column).where(
            column.is_not(None), column != "",
            ~sa.exists().where(other.c[target.name] == column).correlate(column.table),
        )
        found += [f"{column.table.name}.{column.name} is {row[0]}, which is not there" for row in ask(statement)]
    return (found + stray_grants(ask) + stray_ports(ask) + stray_usages(ask) + wrong_objects(ask)
            + stray_attachments(ask))


def wrong_objects(ask: Ask) -> list[str]:
    """Containers and blobs that count wrongly."""
    found = objects.wrong_refs(ask(objects.OF_BLOBS)) + objects.wrong_counters(ask(objects.IN_CONTAINERS))
    return [finding.sentence for finding in found]


def stray_grants(ask: Ask) -> list[str]:
    actors = {row.id for table in (identity.USERS, identity.GROUPS) for row in ask(sa.select(table.c.id))}
    targets = {row.id for row in ask(sa.select(identity.PROJECTS.c.id))}
    return [
        f"a role of {row.actor_id} on {row.target_type} {row.target_id} is left"
        for row in ask(sa.select(identity.ASSIGNMENTS))
        if row.actor_id not in actors or (row.target_type != "system" and row.target_id not in targets)
    ]


def stray_ports(ask: Ask) -> list[str]:
    """Ports of servers, routers and subnets that are gone."""
    living = sa.select(compute.SERVERS.c.id).where(compute.SERVERS.c.deleted_at.is_(None))
    owners = {
        "compute": {row.id for row in ask(living)},
        "router": {row.id for row in ask(sa.select(network.ROUTERS.c.id))},
        "floatingip": {row.id for row in ask(sa.select(network.FLOATING_IPS.c.id))},
        "dhcp": {DHCP_DEVICE + row.id for row in ask(sa.select(network.SUBNETS.c.id))},
    }
    return [
        f"port {row.id} of {row.device_owner} {row.device_id} is left"
        for row in ask(sa.select(network.PORTS).where(network.PORTS.c.device_id != ""))
        for kind, known in owners.items()
        if row.device_owner.removeprefix("network:").startswith(kind) and row.device_id not in known
    ]


def stray_attachments(ask: Ask) -> list[str]:
    """Volumes that are kept for servers which are gone."""
    living = {row.id for row in ask(sa.select(compute.SERVERS.c.id).where(compute.SERVERS.c.deleted_at.is_(None)))}
    held = ask(sa.select(volume.ATTACHMENTS).where(volume.ATTACHMENTS.c.of_compute))
    return [
        f"volume {row.volume_id} is kept for server {row.server_id}, which is gone"
        for row in held if row.server_id not in living
    ]


def stray_usages(ask: Ask) -> list[str]:
    """Inventories whose `used` isn't the sum of the allocations, and consumers without any."""
    a, i = placement.ALLOCATIONS.c, placement.INVENTORIES.c
    used: Counter[tuple[str, str]] = Counter()
    for row in ask(sa.select(a.provider_id, a.resource_class, a.used)):
        used[row.provider_id, row.resource_class] += row.used
    stock = ask(sa.select(i.provider_id, i.resource_class, i.used))
    kept = Counter({(row.provider_id, row.resource_class): row.used for row in stock})
    wrong = [
        f"{what} of provider {provider}: used says {kept[provider, what]}, allocated are {used[provider, what]}"
        for provider, what in sorted(kept.keys() | used.keys()) if kept[provider, what] != used[provider, what]
    ]
    holding = {row.consumer_id for row in ask(sa.select(a.consumer_id))}
    idle = [row.id for row in ask(sa.select(placement.CONSUMERS.c.id)) if row.id not in holding]
    return wrong + [f"consumer {id} holds nothing" for id in idle]


def unquiet(ask: Ask) -> list[str]:
    """What isn't at rest: sagas under way, servers in a state that passes; and servers without their room."""
    found = [f"saga {row.kind} of {row.subject} is at {row.step}: {row.error}" for row in ask(
        sa.select(SAGAS).where(SAGAS.c.ended_at.is_(None))
    )]
    servers = ask(sa.select(compute.SERVERS).where(compute.SERVERS.c.deleted_at.is_(None)))
    found += [
        f"server {row.id} is {row.state} ({row.task})" for row in servers if row.task or row.state == "building"
    ]
    consumers = {row.consumer_id for row in ask(sa.select(placement.ALLOCATIONS.c.consumer_id).join(
        placement.CONSUMERS, placement.CONSUMERS.c.id == placement.ALLOCATIONS.c.consumer_id
    ).where(placement.CONSUMERS.c.consumer_type == "INSTANCE", placement.CONSUMERS.c.project_id != "race"))}
    placed = {row.id for row in servers if row.host_id}
    found += [f"server {id} has a host and no room there" for id in placed - consumers]
    found += [f"room is held for {id}, which is on no host" for id in consumers - placed]
    images = ask(sa.select(image.IMAGES.c.id, image.IMAGES.c.status).where(
        image.IMAGES.c.status.in_(["saving", "importing", "pending_delete"])
    ))
    found += [f"image {row.id} is {row.status}" for row in images]
    return found + unquiet_volumes(ask)


def unquiet_volumes(ask: Ask) -> list[str]:
    """Volumes and snapshots in a state that passes; volumes that are held and say they are free, or the reverse."""
    found = [
        f"{table.name} {row.id} is {row.state}"
        for table, states in ((volume.VOLUMES, volume_states.VOLUME), (volume.SNAPSHOTS, volume_states.SNAPSHOT))
        for row in ask(sa.select(table.c.id, table.c.state)) if row.state not in states.resting
    ]
    v, a = volume.VOLUMES.c, volume.ATTACHMENTS.c
    held = sa.select(v.id, v.state, a.state.label("attachment")).join(volume.ATTACHMENTS, a.volume_id == v.id)
    return found + [
        f"volume {row.id} is {row.state}, and compute's attachment of it {row.attachment}"
        for row in ask(held.where(a.of_compute))
        if (row.attachment, row.state) != ("attached", "in-use")
    ]
