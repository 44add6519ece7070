# SPDX-License-Identifier: Apache-2.0
"""The operator's service: its index. It is mounted under /admin, and stands in no catalogue.

The commands that ask it are cmd/admin.py and those beside it. It belongs to core because it knows no
service: what there is to compare, the services hand over in their manifests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.loops import Loop
from skyhold.core.operator import audit, keys, mend, policy, sagas, trace
from skyhold.core.service import Service

routes = Routes()


@routes.get("/v1/audit", policy=policy.AUDIT)
async def audit_all(ctx: Context) -> Any:
    """Compare database, hosts, data plane and placement; list whatever doesn't fit."""
    return {"findings": msgspec.to_builtins(await audit.run(ctx))}


SERVICE = Service(
    name="operator", type="", prefix="/admin", endpoint="/v1", port=8791,
    routes=[routes, mend.routes, sagas.routes, trace.routes, keys.routes], rules=policy.RULES,
    loops=[Loop("operator.keys", 3600.0, keys.rotate_when_due)],
)
