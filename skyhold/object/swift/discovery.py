# SPDX-License-Identifier: Apache-2.0
"""What the object store is, told to everybody: `/info` and `/healthcheck`.

Only what is done stands in `/info`, for clients choose by it; but for one entry that openstacksdk can't do without.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.object.logic import bounds
from skyhold.object.swift.heads import POLICY

routes = Routes()


@routes.get("/info", policy=PUBLIC)
async def capabilities(ctx: Context) -> dict[str, Any]:
    """Tell what this object store does, and its limits."""
    return {
        "swift": {
            "max_file_size": ctx.core.settings.object.size_limit_bytes,
            "max_container_name_length": bounds.CONTAINER_NAME_BYTES,
            "max_object_name_length": bounds.OBJECT_NAME_BYTES,
            "max_account_name_length": bounds.ACCOUNT_NAME_BYTES,
            "max_meta_name_length": bounds.META_NAME_BYTES, "max_meta_value_length": bounds.META_VALUE_BYTES,
            "max_meta_count": bounds.META_COUNT, "max_meta_overall_size": bounds.META_BYTES,
            "max_header_size": ctx.core.settings.http.header_limit_bytes,
            "container_listing_limit": bounds.LISTING, "account_listing_limit": bounds.LISTING,
            "account_autocreate": True, "allow_account_management": False, "strict_cors_mode": True,
            "valid_api_versions": ["v1"], "policies": [{"name": POLICY, "aliases": POLICY, "default": True}],
        },
        "account_quotas": {}, "container_quotas": {},
        # openstacksdk uploads no file where this is missing: it reads the least size of a segment from it, unasked.
        "slo": {"enabled": False, "max_manifest_segments": 0},
    }


@routes.get("/healthcheck", policy=PUBLIC)
async def healthcheck(ctx: Context) -> Reply:
    """Tell whether the object store works."""
    if (problem := await ctx.core.health()) is not None:
        raise errors.Unavailable(problem)
    return Reply(b"OK", content_type="text/plain; charset=utf-8")
