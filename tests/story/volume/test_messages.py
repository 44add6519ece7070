# SPDX-License-Identifier: Apache-2.0
"""What a user is told of work on volumes that went wrong after it was accepted (CIN-05): why, and under which request.

That a volume comes to rest then is test_volumes.py and test_actions.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.volume.drivers.base import VolumeFailed
from tests.kit.cloud import Persona
from tests.story.volume.scene import LATEST, Scene, V

MESSAGES = f"{V}/messages"


async def messages(who: Persona, query: Any = None) -> list[dict[str, Any]]:
    return (await who.get(MESSAGES, query, headers=LATEST, status=200)).json["messages"]


async def test_a_volume_that_fits_nowhere_tells_each_hosts_reason(scene: Scene) -> None:
    wish = {"volume": {"size": 200_000, "name": "huge"}}
    await scene.quota(gigabytes=-1)
    made = await scene.user.post(f"{V}/volumes", wish, headers=LATEST, status=202)
    id = made.json["volume"]["id"]
    await scene.settled()
    (told,) = await messages(scene.user)
    assert told["user_message"].startswith("No host can hold a volume of 200000 GiB. host-1: it has ")
    assert told["user_message"].endswith("Ask for less, or delete volumes and snapshots that nobody needs.")
    assert (told["resource_type"], told["resource_uuid"], told["message_level"]) == ("VOLUME", id, "ERROR")
    assert told["request_id"] == made.headers["x-openstack-request-id"]
    assert told["event_id"] == "VOLUME_VOLUME_001_003" and told["created_at"]
    shown = await scene.user.get(f"{MESSAGES}/{told['id']}", headers=LATEST, status=200)
    assert shown.json["message"] == told


async def test_messages_are_the_projects_own(scene: Scene) -> None:
    await scene.quota(gigabytes=-1)
    await scene.make(size=200_000, expect="error")
    (told,) = await messages(scene.user)
    path = f"{MESSAGES}/{told['id']}"
    reader, stranger = await scene.user.colleague(["reader"]), await scene.cloud.project()
    assert await messages(reader) == [told] and await messages(stranger) == []
    await reader.delete(path, headers=LATEST, status=403)
    for verb in ("GET", "DELETE"):
        await stranger.request(verb, path, headers=LATEST, status=404)
    assert told in await messages(scene.cloud.admin, {"resource_uuid": told["resource_uuid"]})
    await scene.user.delete(path, headers=LATEST, status=204)
    await scene.user.get(path, headers=LATEST, status=404)
    await scene.user.delete(path, headers=LATEST, status=404)
    # What it was about is still there.
    assert (await scene.show(told["resource_uuid"]))["status"] == "error"


async def test_whatever_goes_wrong_is_told_until_something_goes_well(scene: Scene) -> None:
    volume = await scene.make()
    assert await messages(scene.user) == []
    await scene.user.get(f"{MESSAGES}/{volume['id']}", headers=LATEST, status=404)
    scene.host.volumes.fail_next("snapshot", VolumeFailed("A running guest has the volume open."))
    snapshot = await scene.snapshot(volume, expect="error")
    scene.host.volumes.fail_next("upload", VolumeFailed("The image service refused the image."))
    await scene.act(volume, {"os-volume_upload_image": {"image_name": "x"}})
    newest, oldest = await messages(scene.user)
    assert (newest["resource_uuid"], newest["event_id"]) == (volume["id"], "VOLUME_VOLUME_003_001")
    assert (oldest["resource_uuid"], oldest["event_id"]) == (snapshot["id"], "VOLUME_VOLUME_SNAPSHOT_009_001")
    assert "refused the image" in newest["user_message"] and "has the volume open" in oldest["user_message"]
    page = await scene.user.get(MESSAGES, {"limit": 1}, headers=LATEST, status=200)
    assert page.json["messages"] == [newest]
    assert f"marker={newest['id']}" in page.json["messages_links"][0]["href"]
    assert await messages(scene.user, {"limit": 1, "marker": newest["id"]}) == [oldest]
    assert await messages(scene.user, {"limit": 1, "offset": 1}) == [oldest]
    assert await messages(scene.user, {"sort": "created_at:asc"}) == [oldest, newest]
    assert await messages(scene.user, {"resource_type": "VOLUME_SNAPSHOT"}) == [oldest]
    assert await messages(scene.user, {"message_level": "INFO"}) == []
    for query in ({"marker": "nobodys"}, {"sort": "mood"}, {"limit": -1}):
        await scene.user.get(MESSAGES, query, headers=LATEST, status=400)
    await scene.user.get(MESSAGES, headers={"OpenStack-API-Version": "volume 3.2"}, status=404)
    await scene.act(volume, {"os-extend": {"new_size": 2}})
    assert await messages(scene.user) == [oldest]
    await scene.user.delete(f"{V}/snapshots/{snapshot['id']}", headers=LATEST, status=202)
    await scene.settled()
    assert await messages(scene.user) == []
