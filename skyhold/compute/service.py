# SPDX-License-Identifier: Apache-2.0
"""Compute's manifest: its index."""

from __future__ import annotations

from skyhold.compute import actions as instance_actions
from skyhold.compute import (
    aggregates,
    audit,
    discovery,
    errors,
    hosts,
    hypervisors,
    keypairs,
    limits,
    orphans,
    policy,
    quotas,
    server_groups,
    services,
    versions,
    zones,
)
from skyhold.compute.drivers import base
from skyhold.compute.flavors import api as flavors
from skyhold.compute.loops import power_sync
from skyhold.compute.sagas.boot import Boot
from skyhold.compute.sagas.change_power import ChangePower
from skyhold.compute.sagas.create_image import CreateImage
from skyhold.compute.sagas.delete import Delete
from skyhold.compute.sagas.ports import AttachPort, DetachPort
from skyhold.compute.sagas.reboot import Reboot
from skyhold.compute.sagas.volumes import AttachVolume, DetachVolume
from skyhold.compute.server_parts import ips, metadata, security_groups, tags
from skyhold.compute.servers import actions, api, interfaces, of_image, volume_attachments
from skyhold.core.bus import Alive, Hello
from skyhold.core.service import Service
from skyhold.core.versions import Version

SERVICE = Service(
    name="compute",
    type="compute",
    prefix="/compute",
    endpoint="/v2.1",
    port=8774,
    versions=versions.VERSIONS,
    dialect=errors.DIALECT,
    routes=[
        keypairs.routes,
        flavors.routes,
        quotas.routes,
        limits.routes,
        zones.routes,
        services.routes,
        hypervisors.routes,
        instance_actions.routes,
        metadata.routes,
        tags.routes,
        ips.routes,
        security_groups.routes,
        server_groups.routes,
        aggregates.routes,
        discovery.routes,
        api.routes,
        actions.routes,
        interfaces.routes,
        volume_attachments.routes,
    ],
    rules=policy.RULES,
    sagas=[Boot, Delete, ChangePower, Reboot, CreateImage, AttachPort, DetachPort, AttachVolume, DetachVolume],
    audits=[audit.run],
    mends={"attachment": orphans.free_volume},
    traces=[instance_actions.told],
    loops=[power_sync.LOOP],
    verbs=base.VERBS,
    reports={
        "host.hello": (Hello, hosts.hello),
        "host.gone": (Hello, hosts.gone),
        "host.alive": (Alive, hosts.alive),
        "host.inventory": (base.HostInventory, hosts.inventory),
        "guest.changed": (base.GuestStatus, power_sync.guest_changed),
    },
    on_start=[quotas.prepare, hosts.forget_connections, of_image.at_start, interfaces.at_start],
    request_id_header="x-compute-request-id",
    strict_query_since=Version(2, 75),
    project_in_path=True,
)
