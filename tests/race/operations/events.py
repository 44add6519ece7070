# SPDX-License-Identifier: Apache-2.0
"""Races of the operations on webhooks.

What an entry means is ../duel.py.
"""

from __future__ import annotations

from tests.race.duel import Call, Duel, Ground, name, race

ALL = "/events/v1/webhooks"


async def a_webhook(g: Ground) -> str:
    made = await g.make(ALL, "webhook", g.user, name=name(), url="http://8.8.8.8/", secret="0123456789abcdef")
    return f"{ALL}/{made['id']}"


@race("POST /events/v1/webhooks")
async def create(g: Ground) -> Duel:
    body = {"webhook": {"name": name(), "url": "http://8.8.8.8/", "secret": "0123456789abcdef"}}
    return Duel(Call(g.user, "POST", ALL, body), gone=Call(g.user, "DELETE", await a_webhook(g)), winners=(2,))


@race("PATCH /events/v1/webhooks/{webhook_id}")
async def change(g: Ground) -> Duel:
    hook = await a_webhook(g)
    one = Call(g.user, "PATCH", hook, {"webhook": {"name": "one"}})
    two = Call(g.user, "PATCH", hook, {"webhook": {"enabled": False}})
    keeps = (g.user, hook, {"webhook": {"name": "one", "enabled": False}})
    return Duel(one, two, Call(g.user, "DELETE", hook), winners=(2,), keeps=keeps)


@race("DELETE /events/v1/webhooks/{webhook_id}")
async def delete(g: Ground) -> Duel:
    return Duel(Call(g.user, "DELETE", await a_webhook(g)), winners=(1,))
