# SPDX-License-Identifier: Apache-2.0
"""Compute's manifest: its index."""

from __future__ import annotations

from skyhold.compute import errors, keypairs, policy, versions
from skyhold.compute.drivers import base
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
    routes=[keypairs.routes],
    rules=policy.RULES,
    verbs=base.VERBS,
    request_id_header="x-compute-request-id",
    strict_query_since=Version(2, 75),
    project_in_path=True,
)
