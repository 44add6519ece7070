# SPDX-License-Identifier: Apache-2.0
"""Events' manifest: its index. What each part does is said in its module.

No upstream service answers here: the port is one that none of them uses.
"""

from __future__ import annotations

from skyhold.core.service import Service
from skyhold.events import audit, discovery, events, listening, policy, resealing, webhooks
from skyhold.events.loops import deliver, orphans

SERVICE = Service(
    name="events",
    type="event",
    prefix="/events",
    endpoint="/v1",
    port=8790,
    routes=[discovery.routes, events.routes, webhooks.routes],
    rules=policy.RULES,
    loops=[deliver.LOOP, orphans.LOOP],
    reseals=[resealing.run],
    audits=[audit.run],
    on_start=[resealing.seal_plain, deliver.forget_leases, listening.hear],
)
