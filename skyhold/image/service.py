# SPDX-License-Identifier: Apache-2.0
"""Image's manifest: its index.

Resources are images/, files.py, members.py, schemas.py, stores.py and metadefs/. The catalogue holds the service's
root, because its clients add /v2 themselves.
"""

from __future__ import annotations

from skyhold.core.loops import Loop
from skyhold.core.service import Service
from skyhold.image import audit, errors, files, members, policy, protection, schemas, stores, versions
from skyhold.image.images import api
from skyhold.image.loops import orphans, uploads
from skyhold.image.metadefs import namespaces, objects, properties, resource_types, tags
from skyhold.image.metadefs import schemas as metadef_schemas

LIMITS = {"image_size_total": -1, "image_stage_total": -1, "image_count_total": -1, "image_count_uploading": -1}
"""What unified limits can bound here, the sizes in MiB; nothing is bounded until an operator says so."""

SERVICE = Service(
    name="image",
    type="image",
    prefix="/image",
    port=9292,
    dialect=errors.DIALECT,
    # Upstream reads "/v2/images/" as an image without an id, never as the list.
    strip_slash=False,
    routes=[
        versions.routes, api.routes, files.routes, members.routes, schemas.routes, stores.routes,
        namespaces.routes, objects.routes, properties.routes, tags.routes, resource_types.routes,
        metadef_schemas.routes,
    ],
    rules=policy.RULES,
    audits=[audit.run],
    loops=[
        Loop("image.uploads", uploads.EVERY_S, uploads.run),
        Loop("image.orphans", orphans.EVERY_S, orphans.run),
    ],
    on_start=[protection.at_start, uploads.at_start],
    limits=LIMITS,
)
