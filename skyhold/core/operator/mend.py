# SPDX-License-Identifier: Apache-2.0
"""Sets right what an audit found and no request can: one finding at a time, by an operator's word.

Who knows how is the service that found it (`mends` in its manifest). Each looks once more whether the thing is as the
audit says, and refuses where mending would do harm; so to ask twice, or too late, is no mistake.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.operator import policy

routes = Routes()


@routes.post("/v1/mend/{kind}/{finding_id}", policy=policy.MEND)
async def mend(ctx: Context, kind: str, finding_id: str) -> Any:
    """Set right what an audit found."""
    known = {name: deed for service in ctx.core.services.values() for name, deed in service.mends.items()}
    if kind not in known:
        raise errors.NotFound(f"A finding of kind {kind[:100]!r} can't be mended: only {', '.join(sorted(known))} can.")
    return {"done": await known[kind](ctx, finding_id)}
