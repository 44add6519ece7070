# SPDX-License-Identifier: Apache-2.0
"""Stories of sharing (GLA-03): members, their acceptance, and community images.

Lists in general are test_lists.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.story.image.conftest import House


async def test_an_image_is_offered_accepted_and_rejected_gla_03(house: House) -> None:
    me, friend, stranger = house.someone(), house.someone(), house.someone()
    image = await me.image(b"content", name="ours")
    members = f"/v2/images/{image['id']}/members"
    await friend.get(f"/v2/images/{image['id']}", status=404)

    made = (await me.post(members, {"member": friend.project_id}, status=200)).json
    assert made["status"] == "pending" and made["member_id"] == friend.project_id
    assert made["image_id"] == image["id"] and made["schema"] == "/v2/schemas/member"
    await me.post(members, {"member": friend.project_id}, status=409)

    # Offered: usable by who knows of it, but not forced into anybody's list.
    await friend.get(f"/v2/images/{image['id']}/file", status=200)
    assert await friend.names() == []
    assert await friend.names(member_status="pending", visibility="shared") == ["ours"]
    await me.put(f"{members}/{friend.project_id}", {"status": "accepted"}, status=403)
    await friend.put(f"{members}/{friend.project_id}", {"status": "maybe"}, status=400)
    await friend.put(f"{members}/{friend.project_id}", {"status": "accepted"}, status=200)
    assert await friend.names() == ["ours"]

    await friend.change(image["id"], {"op": "replace", "path": "/name", "value": "mine"}, status=403)
    await friend.delete(f"/v2/images/{image['id']}", status=403)
    await friend.put(f"{members}/{friend.project_id}", {"status": "rejected"}, status=200)
    assert await friend.names() == [] and await friend.names(member_status="all") == ["ours"]

    await stranger.get(members, status=404)
    await stranger.get(f"{members}/{friend.project_id}", status=404)
    await me.delete(f"{members}/{friend.project_id}", status=204)
    await me.delete(f"{members}/{friend.project_id}", status=404)
    await friend.get(f"/v2/images/{image['id']}", status=404)


async def test_a_member_sees_only_itself(house: House) -> None:
    me, friend, other = house.someone(), house.someone(), house.someone()
    image = await me.image()
    members = f"/v2/images/{image['id']}/members"
    for each in (friend, other):
        await me.post(members, {"member": each.project_id}, status=200)
    everybody = (await me.get(members, status=200)).json
    assert {each["member_id"] for each in everybody["members"]} == {friend.project_id, other.project_id}
    assert everybody["schema"] == "/v2/schemas/members"
    seen = (await friend.get(members, status=200)).json["members"]
    assert [each["member_id"] for each in seen] == [friend.project_id]
    await friend.get(f"{members}/{friend.project_id}", status=200)
    await friend.get(f"{members}/{other.project_id}", status=404)
    await friend.put(f"{members}/{other.project_id}", {"status": "accepted"}, status=404)
    await friend.delete(f"{members}/{friend.project_id}", status=403)
    await friend.post(members, {"member": "another"}, status=403)


@pytest.mark.parametrize("visibility", ["private", "community"])
async def test_only_shared_images_have_members(house: House, visibility: str) -> None:
    me = house.someone()
    image = await me.image(visibility=visibility)
    await me.post(f"/v2/images/{image['id']}/members", {"member": "x"}, status=403)
    await me.get(f"/v2/images/{image['id']}/members", status=403)


async def test_an_image_made_private_again_is_hidden_from_its_members(house: House) -> None:
    me, friend = house.someone(), house.someone()
    image = await me.image()
    await me.post(f"/v2/images/{image['id']}/members", {"member": friend.project_id}, status=200)
    await friend.look(image["id"])
    await me.change(image["id"], {"op": "replace", "path": "/visibility", "value": "private"}, status=200)
    await friend.get(f"/v2/images/{image['id']}", status=404)


@pytest.mark.parametrize("body", [{}, {"member": ""}, {"member": 7}, [], {"member": "x" * 65}])
async def test_what_cannot_be_a_member_is_400(house: House, body: Any) -> None:
    me = house.someone()
    image = await me.image()
    await me.post(f"/v2/images/{image['id']}/members", body, status=400)


async def test_an_image_has_so_many_members(house: House) -> None:
    me = house.someone()
    image = await me.image()
    for number in range(128):
        await me.post(f"/v2/images/{image['id']}/members", {"member": f"project-{number}"}, status=200)
    await me.post(f"/v2/images/{image['id']}/members", {"member": "one-more"}, status=413)


async def test_community_images_are_used_by_all_and_listed_when_asked_for(house: House) -> None:
    me, other = house.someone(), house.someone()
    image = await me.image(b"content", name="for all", visibility="community")
    assert await me.names() == ["for all"] and await other.names() == []
    assert await other.names(visibility="community") == ["for all"]
    assert await other.names(visibility="all") == ["for all"]
    await other.get(f"/v2/images/{image['id']}/file", status=200)
    await other.delete(f"/v2/images/{image['id']}", status=403)
