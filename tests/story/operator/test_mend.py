# SPDX-License-Identifier: Apache-2.0
"""What an operator may set right: a volume that is kept for a server which is not there.

No request leads there, so the server's row is taken away behind everybody's back, and its guest with it.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.compute.tables import SERVERS
from skyhold.core.context import internal
from skyhold.core.operator import audit
from skyhold.volume.tables import ATTACHMENTS, VOLUMES
from tests.story.compute.scene import Scene

V = "/volume/v3"
LATEST = {"OpenStack-API-Version": "volume 3.70"}
MEND = "/admin/v1/mend/attachment"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAUSE_S", 0.05)


async def held(scene: Scene) -> tuple[str, str, str]:
    """The ids of a server, of the volume that is attached to it, and of the attachment."""
    server = (await scene.server("holder"))["id"]
    made = (await scene.user.post(f"{V}/volumes", {"volume": {"size": 1}}, status=202)).json["volume"]["id"]
    await scene.settled()
    wish = {"volumeAttachment": {"volumeId": made}}
    await scene.user.post(f"/compute/v2.1/servers/{server}/os-volume_attachments", wish, status=200)
    await scene.settled()
    return server, made, await attachment_of(scene, made)


async def attachment_of(scene: Scene, volume_id: str) -> str:
    of_it = sa.select(ATTACHMENTS.c.id).where(ATTACHMENTS.c.volume_id == volume_id)
    return str(await internal(scene.cloud.core).read(lambda tx, ctx: tx.scalar(of_it)))


async def change(scene: Scene, table: sa.Table, id: str, **values: Any) -> None:
    statement = table.update().where(table.c.id == id).values(**values)
    await internal(scene.cloud.core).write(lambda tx, ctx: tx.execute(statement))


async def attachment_findings(scene: Scene) -> list[Any]:
    found = (await scene.cloud.admin.get("/admin/v1/audit", status=200)).json["findings"]
    return [one for one in found if one["kind"] == "attachment"]


async def clean(scene: Scene, server: str, made: str) -> None:
    await scene.user.delete(f"/compute/v2.1/servers/{server}", status=204)
    await scene.settled()
    await scene.user.delete(f"{V}/volumes/{made}", status=202)
    await scene.settled()
    assert (await scene.cloud.admin.get("/admin/v1/audit", status=200)).json["findings"] == []


async def test_a_volume_kept_for_a_server_that_is_gone_is_freed_by_what_the_audit_says(scene: Scene) -> None:
    server, made, attachment = await held(scene)
    await change(scene, ATTACHMENTS, attachment, server_id=str(uuid.uuid4()))
    refused = await scene.user.delete(f"{V}/attachments/{attachment}", headers=LATEST, status=409)
    assert "compute" in str(refused.json), "its user can't end it"
    (one,) = await attachment_findings(scene)
    assert f"skyhold admin mend attachment {attachment}" in one["remedy"]
    # Its own server's guest has it still: the loop pulls out what is no longer its server's.
    refused = await scene.cloud.admin.post(f"{MEND}/{attachment}", {}, status=409)
    assert "guest_runs" in str(refused.json) and server in str(refused.json)
    await scene.cloud.core.loops.run_once("compute.power_sync")
    done = await scene.cloud.admin.post(f"{MEND}/{attachment}", {}, headers={"X-Dry-Run": "true"}, status=200)
    assert f"{made} would no longer be" in done.json["done"], "a rehearsal says so"
    assert await attachment_findings(scene), "and changes nothing"
    done = await scene.cloud.admin.post(f"{MEND}/{attachment}", {}, status=200)
    assert f"{made} is no longer" in done.json["done"]
    assert await attachment_findings(scene) == []
    shown = (await scene.user.get(f"{V}/volumes/{made}", status=200)).json["volume"]
    assert (shown["status"], shown["attachments"]) == ("available", [])
    await scene.cloud.admin.post(f"{MEND}/{attachment}", {}, status=404)
    await clean(scene, server, made)


async def test_a_volume_that_a_guest_still_writes_to_is_not_given_away(scene: Scene) -> None:
    """CVE-2023-2088's harm, by an operator's hand: the server is gone, and its guest is not."""
    server, made, attachment = await held(scene)
    await change(scene, SERVERS, server, deleted_at=scene.cloud.core.clock())
    refused = await scene.cloud.admin.post(f"{MEND}/{attachment}", {}, status=409)
    assert "guest_runs" in str(refused.json) and server in str(refused.json)
    await change(scene, SERVERS, server, deleted_at=None)
    await clean(scene, server, made)


async def test_a_volume_of_a_server_that_is_there_is_not_mended_but_detached(scene: Scene) -> None:
    server, made, attachment = await held(scene)
    refused = await scene.cloud.admin.post(f"{MEND}/{attachment}", {}, status=409)
    assert f"openstack server remove volume {server} {made}" in str(refused.json)
    await clean(scene, server, made)


async def test_a_volume_that_is_only_reserved_and_nobody_attaches_is_found_and_can_be_detached(scene: Scene) -> None:
    server, made, attachment = await held(scene)
    await change(scene, ATTACHMENTS, attachment, state="reserved")
    (one,) = await attachment_findings(scene)
    assert f"openstack server remove volume {server} {made}" in one["remedy"]
    await scene.user.delete(f"/compute/v2.1/servers/{server}/os-volume_attachments/{made}", status=202)
    await scene.settled()
    assert await attachment_findings(scene) == []
    await clean(scene, server, made)


async def test_a_volume_on_another_host_than_its_server_is_found_and_can_be_detached(scene: Scene) -> None:
    server, made, attachment = await held(scene)
    elsewhere = str(uuid.uuid4())
    await change(scene, VOLUMES, made, host_id=elsewhere)
    (one,) = await attachment_findings(scene)
    assert f"openstack server remove volume {server} {made}" in one["remedy"]
    await scene.user.delete(f"/compute/v2.1/servers/{server}/os-volume_attachments/{made}", status=202)
    await scene.settled()
    assert await attachment_findings(scene) == []
    await change(scene, VOLUMES, made, host_id=scene.host.host_id)
    await clean(scene, server, made)


async def test_only_what_can_be_mended_is_and_only_by_administrators(scene: Scene) -> None:
    await scene.user.post(f"{MEND}/nothing", {}, status=403)
    await scene.cloud.admin.post(f"{MEND}/nothing", {}, status=404)
    unknown = await scene.cloud.admin.post("/admin/v1/mend/guest/nothing", {}, status=404)
    assert "attachment" in str(unknown.json), "what can be mended is told"
