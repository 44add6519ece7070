# SPDX-License-Identifier: Apache-2.0
"""Compute's quota: what a project may have of servers, cores, memory and the like.

Counting is core/quota.py. Limits are looked for in this order: the project's own, those of the
quota class `default` (kept as the limits of project ""), and the settings.
"""

from __future__ import annotations

from skyhold.core.app import Core
from skyhold.core.quota import Quota

QUOTA = Quota(
    "compute", instances=10, cores=20, ram=51200, key_pairs=100, metadata_items=128, server_groups=10,
    server_group_members=10, injected_files=5, injected_file_content_bytes=10240,
    injected_file_path_bytes=255,
)
"""`ram` in MiB. Key pairs are counted per user: their "project" is the user's id."""


async def prepare(core: Core) -> None:
    """At start: the operator's settings become the defaults."""
    QUOTA.defaults.update(core.settings.compute.quotas)
