# SPDX-License-Identifier: Apache-2.0
"""What an audit finds: one `Finding` for each thing that doesn't fit, and the recount of quotas.

What is compared lives in each service's audit.py; running them all is audit.py beside this file. A
finding is something at rest that should not be: whatever a live saga holds is none.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from skyhold.core.tables import QUOTA_USAGES

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


class Finding(msgspec.Struct, frozen=True):
    """`kind` and `id` name the thing, `sentence` what is wrong with it, `remedy` what to do about it."""

    kind: str
    id: str
    sentence: str
    remedy: str


USAGES = sa.select(QUOTA_USAGES.c.project_id, QUOTA_USAGES.c.resource, QUOTA_USAGES.c.used)


def drift(tx: Tx, service: str, resources: set[str], counted: Counter[tuple[str, str]]) -> list[Finding]:
    """Where the usage kept of these resources differs from what was counted, by (project, resource)."""
    kept = Counter[tuple[str, str]]()
    for row in tx.all(USAGES):
        owner, _, resource = row.resource.partition(":")
        if owner == service and resource in resources:
            kept[row.project_id, resource] = row.used
    return [
        Finding(
            "quota", f"{project}/{service}:{resource}",
            f"Quota counts {kept[project, resource]} {resource} of {project}, but there are "
            f"{counted[project, resource]}.",
            "Report it as a defect; set core_quota_usages to the recount while the cloud is stopped.",
        )
        for project, resource in sorted(kept.keys() | counted.keys())
        if kept[project, resource] != counted[project, resource]
    ]
