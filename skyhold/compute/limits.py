# SPDX-License-Identifier: Apache-2.0
"""Limits: a project's quota and usage in one document, as clients ask before they create.

Changing them is quotas.py. There are no rate limits to show; the network's numbers, which old
versions print here, are the network service's and therefore unlimited.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import policy
from skyhold.compute.projects import permit
from skyhold.compute.quotas import QUOTA
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.quota import UNLIMITED
from skyhold.core.shapes import Shape, envelope, field


class Absolute(Shape):
    total_instances: int = field("maxTotalInstances")
    total_cores: int = field("maxTotalCores")
    total_ram: int = field("maxTotalRAMSize")
    keypairs: int = field("maxTotalKeypairs")
    server_meta: int = field("maxServerMeta")
    image_meta: int = field("maxImageMeta", until="2.38")
    server_groups: int = field("maxServerGroups")
    server_group_members: int = field("maxServerGroupMembers")
    personality: int = field("maxPersonality", until="2.56")
    personality_size: int = field("maxPersonalitySize", until="2.56")
    security_groups: int = field("maxSecurityGroups", until="2.35", default=UNLIMITED)
    security_group_rules: int = field("maxSecurityGroupRules", until="2.35", default=UNLIMITED)
    floating_ips: int = field("maxTotalFloatingIps", until="2.35", default=UNLIMITED)
    instances_used: int = field("totalInstancesUsed")
    cores_used: int = field("totalCoresUsed")
    ram_used: int = field("totalRAMUsed")
    server_groups_used: int = field("totalServerGroupsUsed")
    security_groups_used: int = field("totalSecurityGroupsUsed", until="2.35", default=0)
    floating_ips_used: int = field("totalFloatingIpsUsed", until="2.35", default=0)


class Both(Shape):
    rate: list[Any]
    absolute: Absolute


class LimitsQuery(Shape, extra="ignore"):
    tenant_id: str | None = None
    reserved: str | None = None
    """Nothing is reserved besides what is used, so the answer is the same with and without."""


routes = Routes()


@routes.get("/v2.1/limits", policy=policy.LIMITS, query=LimitsQuery, reply=envelope("limits", Both))
async def show(ctx: Context, query: LimitsQuery) -> Both:
    """Show a project's limits and usage."""
    return await ctx.read(limits, query.tenant_id)


def limits(tx: Tx, ctx: Context, tenant_id: str | None) -> Both:
    if tenant_id is not None:
        permit(ctx, policy.LIMITS_OF_OTHERS, tenant_id)
    project_id = tenant_id or ctx.project_id
    most, used = QUOTA.limits(tx, project_id), QUOTA.usage(tx, project_id)
    return Both(rate=[], absolute=Absolute(
        total_instances=most["instances"], total_cores=most["cores"], total_ram=most["ram"],
        keypairs=most["key_pairs"], server_meta=most["metadata_items"], image_meta=most["metadata_items"],
        server_groups=most["server_groups"], server_group_members=most["server_group_members"],
        personality=most["injected_files"], personality_size=most["injected_file_content_bytes"],
        instances_used=used["instances"], cores_used=used["cores"], ram_used=used["ram"],
        server_groups_used=used["server_groups"],
    ))
