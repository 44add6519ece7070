# SPDX-License-Identifier: Apache-2.0
"""Races of image's operations.

What an entry means is ../duel.py.
"""

from __future__ import annotations

import uuid
from typing import Any

from skyhold.core.qcow2 import empty
from tests.race.duel import Call, Duel, Ground, name, race

ALL = "/image/v2/images"
PATCH = "application/openstack-images-v2.1-json-patch"
BYTES = "application/octet-stream"


async def an_image(g: Ground, *, filled: bool = True, **more: Any) -> str:
    """Its path."""
    body = {"name": name(), "disk_format": "qcow2", "container_format": "bare", **more}
    made = (await g.user.post(ALL, body, status=201)).json
    if filled:
        await g.user.put(f"{ALL}/{made['id']}/file", empty(), content_type=BYTES, status=204)
    return f"{ALL}/{made['id']}"


def duel(g: Ground, one: Call, image: str, two: Call | None = None, **more: Any) -> Duel:
    return Duel(one, two, gone=Call(g.user, "DELETE", image), **more)


@race("POST /image/v2/images")
async def create(g: Ground) -> Duel:
    old, new = await an_image(g, filled=False), str(uuid.uuid4())
    body = {"id": new, "name": name(), "disk_format": "raw", "container_format": "bare"}
    return duel(g, Call(g.user, "POST", ALL, body), old, winners=(1,))


@race("PATCH /image/v2/images/{image_id}")
async def change(g: Ground) -> Duel:
    image = await an_image(g, filled=False)
    one, two = (
        Call(g.user, "PATCH", image, [{"op": "add", "path": f"/{key}", "value": "x"}], content_type=PATCH)
        for key in ("shape", "colour")
    )
    return duel(g, one, image, two, winners=(2,), keeps=(g.user, image, {"shape": "x", "colour": "x"}))


@race("DELETE /image/v2/images/{image_id}")
async def delete(g: Ground) -> Duel:
    return Duel(Call(g.user, "DELETE", await an_image(g)), winners=(1,))


@race("PUT /image/v2/images/{image_id}/tags/{tag_value}")
async def add_tag(g: Ground) -> Duel:
    image = await an_image(g, filled=False)
    one, two = (Call(g.user, "PUT", f"{image}/tags/{tag}") for tag in ("one", "two"))
    return duel(g, one, image, two, winners=(2,), keeps=(g.user, image, {"tags": ["one", "two"]}))


@race("DELETE /image/v2/images/{image_id}/tags/{tag_value}")
async def drop_tag(g: Ground) -> Duel:
    image = await an_image(g, filled=False, tags=["one", "two"])
    return duel(g, Call(g.user, "DELETE", f"{image}/tags/one"), image, winners=(1,))


@race("POST /image/v2/images/{image_id}/actions/deactivate")
async def deactivate(g: Ground) -> Duel:
    image = await an_image(g)
    return duel(g, Call(g.admin, "POST", f"{image}/actions/deactivate"), image, winners=(2,))


@race("POST /image/v2/images/{image_id}/actions/reactivate")
async def reactivate(g: Ground) -> Duel:
    image = await an_image(g)
    await g.admin.post(f"{image}/actions/deactivate", status=204)
    return duel(g, Call(g.admin, "POST", f"{image}/actions/reactivate"), image, winners=(2,))


@race("PUT /image/v2/images/{image_id}/file")
async def upload(g: Ground) -> Duel:
    image = await an_image(g, filled=False)
    one = Call(g.user, "PUT", f"{image}/file", empty(), content_type=BYTES)
    return duel(g, one, image, winners=(1,), refusals=(410,))


@race("POST /image/v2/images/{image_id}/members")
async def share(g: Ground) -> Duel:
    image = await an_image(g, visibility="shared")
    return duel(g, Call(g.user, "POST", f"{image}/members", {"member": uuid.uuid4().hex}), image, winners=(1,))


async def a_member(g: Ground) -> tuple[str, str]:
    image = await an_image(g, visibility="shared")
    await g.user.post(f"{image}/members", {"member": g.admin.project_id}, status=200)
    return image, f"{image}/members/{g.admin.project_id}"


@race("PUT /image/v2/images/{image_id}/members/{member_id}")
async def accept(g: Ground) -> Duel:
    image, member = await a_member(g)
    return duel(g, Call(g.admin, "PUT", member, {"status": "accepted"}), image, winners=(2,))


@race("DELETE /image/v2/images/{image_id}/members/{member_id}")
async def share_no_more(g: Ground) -> Duel:
    image, member = await a_member(g)
    return duel(g, Call(g.user, "DELETE", member), image, winners=(1,))
