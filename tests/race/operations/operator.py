# SPDX-License-Identifier: Apache-2.0
"""Races of the operator's operations.

What an entry means is ../duel.py. A saga is steered either way, or has ended by itself meanwhile.
"""

from __future__ import annotations

from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.volume import facade as volume
from tests.kit.saga_rows import waiting_saga
from tests.race.duel import Call, Duel, Ground, race

SAGAS = "/admin/v1/sagas"


@race("POST /admin/v1/sagas/{saga_id}/retry")
async def retry(g: Ground) -> Duel:
    saga = f"{SAGAS}/{await waiting_saga(g.cloud.core)}"
    return Duel(Call(g.admin, "POST", saga + "/retry", {}), gone=Call(g.admin, "POST", saga + "/abort", {}))


@race("POST /admin/v1/sagas/{saga_id}/abort")
async def abort(g: Ground) -> Duel:
    saga = f"{SAGAS}/{await waiting_saga(g.cloud.core)}"
    return Duel(Call(g.admin, "POST", saga + "/abort", {}), gone=Call(g.admin, "POST", saga + "/retry", {}))


@race("POST /admin/v1/rotate-keys")
async def rotate(g: Ground) -> Duel:
    """Refused while it would log somebody out; nothing takes the keys away, so a token is used beside it."""
    using = Call(g.user, "GET", "/identity/v3/auth/projects")
    return Duel(Call(g.admin, "POST", "/admin/v1/rotate-keys", {}), gone=using, winners=(0, 1, 2))


@race("POST /admin/v1/mend/{kind}/{finding_id}")
async def mend(g: Ground) -> Duel:
    """An attachment whose server is not there: freed once, against its volume's deletion, which it stands in the way
    of."""
    made = await g.make("/volume/v3/volumes", "volume", g.user, size=1)
    assert await g.cloud.core.sagas.idle()
    held = await internal(g.cloud.core).write(orphan, made["id"])
    one = Call(g.admin, "POST", f"/admin/v1/mend/attachment/{held}", {})
    return Duel(one, gone=Call(g.user, "DELETE", f"/volume/v3/volumes/{made['id']}"), winners=(1,), refusals=(400,))


def orphan(tx: Tx, ctx: Context, volume_id: str) -> str:
    return volume.reserve(tx, ctx, volume_id, ctx.new_id()).id
