# SPDX-License-Identifier: Apache-2.0
"""Placement's manifest: its index."""

from __future__ import annotations

from skyhold.core.service import Service
from skyhold.placement import errors, tables, versions

SERVICE = Service(
    name="placement",
    type="placement",
    prefix="/placement",
    port=8778,
    versions=versions.VERSIONS,
    dialect=errors.DIALECT,
    routes=[],
    rules=[],
)
TABLES = tables
