# SPDX-License-Identifier: Apache-2.0
"""Races of the object store: accounts, containers and objects, and the bytes and counters behind them.

What an entry means is ../duel.py; what is counted afterwards is also the store's own audit (tests/kit/recount.py).
"""

from __future__ import annotations

from tests.race.duel import Call, Duel, Ground, name, race

ACCOUNT = "/object-store/v1/AUTH_{project_id}"
CONTAINER = ACCOUNT + "/{container}"
OBJECT = CONTAINER + "/{object_name:path}"
BYTES = "application/octet-stream"


def account(g: Ground) -> str:
    return ACCOUNT.format(project_id=g.user.project_id)


async def a_container(g: Ground) -> str:
    path = f"{account(g)}/{name()}"
    await g.user.put(path, status=201)
    return path


async def an_object(g: Ground) -> str:
    path = f"{await a_container(g)}/crow"
    await g.user.put(path, b"caw", content_type=BYTES, status=201)
    return path


@race(f"POST {ACCOUNT}")
async def describe_account(g: Ground) -> Duel:
    one, two = (Call(g.user, "POST", account(g), headers={f"X-Account-Meta-{word}": word}) for word in ("One", "Two"))
    return Duel(one, two, gone=Call(g.user, "POST", account(g), headers={"X-Remove-Account-Meta-One": "x"}))


@race(f"PUT {CONTAINER}")
async def make(g: Ground) -> Duel:
    path = f"{account(g)}/{name()}"
    return Duel(Call(g.user, "PUT", path), gone=Call(g.user, "DELETE", path), winners=(2,))


@race(f"POST {CONTAINER}")
async def describe_container(g: Ground) -> Duel:
    path = await a_container(g)
    one, two = (Call(g.user, "POST", path, headers={f"X-Container-Meta-{word}": word}) for word in ("One", "Two"))
    return Duel(one, two, gone=Call(g.user, "DELETE", path), winners=(2,))


@race(f"DELETE {CONTAINER}")
async def delete_container(g: Ground) -> Duel:
    """Against an upload into it, too: either it is there with the object in it, or neither is."""
    path = await a_container(g)
    upload = Call(g.user, "PUT", f"{path}/crow", b"caw", content_type=BYTES)
    return Duel(Call(g.user, "DELETE", path), gone=upload, winners=(1,))


@race(f"PUT {OBJECT}")
async def upload(g: Ground) -> Duel:
    path = await an_object(g)
    one, two = (Call(g.user, "PUT", path, body, content_type=BYTES) for body in (b"one", b"the other"))
    return Duel(one, two, gone=Call(g.user, "DELETE", path), winners=(2,))


@race(f"COPY {OBJECT}")
async def copy(g: Ground) -> Duel:
    path = await an_object(g)
    container = path.split("/")[-2]
    return Duel(
        Call(g.user, "COPY", path, headers={"Destination": f"{container}/rook"}),
        gone=Call(g.user, "DELETE", path), winners=(2,),
    )


@race(f"POST {OBJECT}")
async def describe(g: Ground) -> Duel:
    path = await an_object(g)
    one = Call(g.user, "POST", path, headers={"X-Object-Meta-Color": "black"})
    return Duel(one, gone=Call(g.user, "DELETE", path), winners=(2,))


@race(f"DELETE {OBJECT}")
async def delete(g: Ground) -> Duel:
    path = await an_object(g)
    return Duel(Call(g.user, "DELETE", path), winners=(1,))
