# SPDX-License-Identifier: Apache-2.0
"""Image's manifest: its index.

Resources are images/, files.py, staging.py, imports/, tasks.py, locations.py, members.py, schemas.py, stores.py,
cache.py and metadefs/. The catalogue holds the service's root, because its clients add /v2 themselves.
"""

from __future__ import annotations

from dataclasses import replace

from skyhold.core.loops import Loop
from skyhold.core.service import Service
from skyhold.core.settings.whole import Settings
from skyhold.image import (
    audit,
    blobs,
    cache,
    content,
    descendants,
    errors,
    files,
    locations,
    members,
    policy,
    protection,
    schemas,
    staging,
    stores,
    tasks,
    versions,
)
from skyhold.image.images import api
from skyhold.image.imports import api as imports
from skyhold.image.loops import caching, orphans, uploads
from skyhold.image.loops import tasks as old_tasks
from skyhold.image.metadefs import namespaces, objects, properties, resource_types, tags
from skyhold.image.metadefs import schemas as metadef_schemas
from skyhold.image.sagas.hash_location import HashLocation
from skyhold.image.sagas.import_image import ImportImage

COMMON = [
    versions.routes, api.routes, descendants.routes, files.routes, staging.routes, imports.routes, tasks.routes,
    locations.routes, members.routes, schemas.routes, stores.routes, namespaces.routes, objects.routes,
    properties.routes, tags.routes, resource_types.routes, metadef_schemas.routes,
]
"""What every endpoint of the service answers; downloads and the cache are each endpoint's own."""

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
    routes=[*COMMON, files.download_routes(""), cache.routes_of("")],
    rules=policy.RULES,
    audits=[audit.run],
    sagas=[ImportImage, HashLocation],
    loops=[
        Loop("image.uploads", uploads.EVERY_S, uploads.run),
        Loop("image.orphans", orphans.EVERY_S, orphans.run),
        Loop(caching.NAME, caching.EVERY_S, caching.run),
        Loop("image.tasks", old_tasks.EVERY_S, old_tasks.run),
    ],
    on_start=[protection.at_start, blobs.at_start, content.at_start, uploads.at_start],
    limits=LIMITS,
)


def sites(settings: Settings) -> list[Service]:
    """The service's further endpoints, one for each cache site, with a type of its own in the catalogue."""
    return [
        replace(
            SERVICE, name=f"image_{site}", type=f"image_{site}", prefix=f"/image_{site}", port=0,
            routes=[*COMMON, files.download_routes(site), cache.routes_of(site)],
            rules=(), audits=(), sagas=(), loops=(), on_start=(), limits={},
        )
        for site in settings.image.cache_sites
    ]
