# SPDX-License-Identifier: Apache-2.0
"""Volume's manifest: its index."""

from __future__ import annotations

from skyhold.core.bus import Hello
from skyhold.core.service import Service
from skyhold.volume import (
    attachments,
    audit,
    discovery,
    errors,
    extensions,
    limits,
    messages,
    metadata,
    policy,
    pools,
    quotas,
    services,
    snapshots,
    types,
    versions,
)
from skyhold.volume.drivers import base
from skyhold.volume.loops import remains
from skyhold.volume.sagas.create import CreateVolume
from skyhold.volume.sagas.create_snapshot import CreateSnapshot
from skyhold.volume.sagas.delete import DeleteVolume
from skyhold.volume.sagas.delete_snapshot import DeleteSnapshot
from skyhold.volume.sagas.extend import ExtendVolume
from skyhold.volume.sagas.upload import UploadVolume
from skyhold.volume.volumes import actions, api

SERVICE = Service(
    name="volume",
    type="block-storage",
    prefix="/volume",
    endpoint="/v3",
    port=8776,
    versions=versions.VERSIONS,
    dialect=errors.DIALECT,
    routes=[
        discovery.routes,
        api.routes,
        actions.routes,
        metadata.volumes,
        snapshots.routes,
        metadata.snapshots,
        attachments.routes,
        types.routes,
        quotas.routes,
        limits.routes,
        messages.routes,
        services.routes,
        extensions.routes,
    ],
    rules=policy.RULES,
    sagas=[CreateVolume, DeleteVolume, ExtendVolume, UploadVolume, CreateSnapshot, DeleteSnapshot],
    audits=[audit.run],
    loops=[remains.LOOP],
    verbs=base.VERBS,
    reports={"host.hello": (Hello, pools.hello), "volume.pool": (base.VolumePool, pools.report)},
    on_start=[quotas.prepare, types.at_start],
    project_in_path=True,
)
