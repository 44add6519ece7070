# SPDX-License-Identifier: Apache-2.0
"""Invariant 3 where things meet: one's own is asked to take what is another's.

Whole operations by everybody are test_tenancy.py, with one id at a time. Here the address and most of the body are the
stranger's own, and one id in them is the land's: the answer must be the very one that an id nobody has gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from skyhold.core.qcow2 import empty
from tests.kit.cloud import Persona
from tests.tenancy.land import LATEST, Land
from tests.tenancy.operations import fill, filled, unknown_like
from tests.tenancy.snapshot import difference, snapshot
from tests.tenancy.test_tenancy import FITTING, faceless, told_by

C, N, V = "/compute/v2.1", "/network/v2.0", "/volume/v3"


@dataclass(frozen=True)
class Meeting:
    """`$name` is the stranger's own, `theirs` the name of what is the land's and stands as `$theirs`."""

    theirs: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.theirs}"


def server(theirs: str, hints: Any = None, **more: Any) -> Meeting:
    wish = {"name": "mine", "imageRef": "$image", "flavorRef": "$flavor", "networks": [{"uuid": "$network"}]} | more
    return Meeting(theirs, "POST", f"{C}/servers", {"server": wish} | (hints or {}), LATEST)


def disk(source: str) -> list[dict[str, Any]]:
    more = {} if source == "volume" else {"volume_size": 1}
    return [{"source_type": source, "destination_type": "volume", "boot_index": 0, "uuid": "$theirs", **more}]


def action(theirs: str, body: Any) -> Meeting:
    return Meeting(theirs, "POST", f"{C}/servers/$server/action", body)


def port(theirs: str, **more: Any) -> Meeting:
    return Meeting(theirs, "POST", f"{N}/ports", {"port": {"network_id": "$network"} | more})


MEETINGS = [
    server("image", imageRef="$theirs"), server("flavor", flavorRef="$theirs"),
    server("network", networks=[{"uuid": "$theirs"}]), server("port", networks=[{"port": "$theirs"}]),
    server("sg", security_groups=[{"name": "$theirs"}]),
    server("server_group", hints={"os:scheduler_hints": {"group": "$theirs"}}),
    *(server(source, imageRef="", block_device_mapping_v2=disk(source)) for source in ("volume", "snapshot", "image")),
    Meeting("network", "POST", f"{C}/servers/$server/os-interface", {"interfaceAttachment": {"net_id": "$theirs"}}),
    Meeting("port", "POST", f"{C}/servers/$server/os-interface", {"interfaceAttachment": {"port_id": "$theirs"}}),
    Meeting("server_port", "GET", f"{C}/servers/$server/os-interface/$theirs"),
    Meeting("server_port", "DELETE", f"{C}/servers/$server/os-interface/$theirs"),
    Meeting("volume", "POST", f"{C}/servers/$server/os-volume_attachments", {"volumeAttachment": {
        "volumeId": "$theirs",
    }}),
    Meeting("server_volume", "GET", f"{C}/servers/$server/os-volume_attachments/$theirs"),
    Meeting("server_volume", "DELETE", f"{C}/servers/$server/os-volume_attachments/$theirs"),
    Meeting("request", "GET", f"{C}/servers/$server/os-instance-actions/$theirs"),
    action("sg", {"addSecurityGroup": {"name": "$theirs"}}), action("sg", {"removeSecurityGroup": {"name": "$theirs"}}),
    Meeting("network", "POST", f"{N}/subnets", {"subnet": {
        "network_id": "$theirs", "ip_version": 4, "cidr": "10.99.9.0/24",
    }}),
    port("network", network_id="$theirs"), port("sg", security_groups=["$theirs"]),
    port("subnet", fixed_ips=[{"subnet_id": "$theirs"}]),
    Meeting("sg", "PUT", f"{N}/ports/$port", {"port": {"security_groups": ["$theirs"]}}),
    Meeting("sg", "POST", f"{N}/security-group-rules", {"security_group_rule": {
        "security_group_id": "$sg", "direction": "ingress", "remote_group_id": "$theirs",
    }}),
    Meeting("sg", "POST", f"{N}/security-group-rules", {"security_group_rule": {
        "security_group_id": "$theirs", "direction": "ingress",
    }}),
    Meeting("subnet", "PUT", f"{N}/routers/$router/add_router_interface", {"subnet_id": "$theirs"}),
    Meeting("port", "PUT", f"{N}/routers/$router/add_router_interface", {"port_id": "$theirs"}),
    Meeting("used_subnet", "PUT", f"{N}/routers/$router/remove_router_interface", {"subnet_id": "$theirs"}),
    Meeting("network", "PUT", f"{N}/routers/$router", {"router": {"external_gateway_info": {"network_id": "$theirs"}}}),
    Meeting("port", "POST", f"{N}/floatingips", {"floatingip": {
        "floating_network_id": "$public", "port_id": "$theirs",
    }}),
    Meeting("port", "PUT", f"{N}/floatingips/$fip", {"floatingip": {"port_id": "$theirs"}}),
    Meeting("snapshot", "POST", f"{V}/volumes", {"volume": {"snapshot_id": "$theirs"}}),
    Meeting("volume", "POST", f"{V}/volumes", {"volume": {"source_volid": "$theirs"}}),
    Meeting("image", "POST", f"{V}/volumes", {"volume": {"size": 1, "imageRef": "$theirs"}}),
    Meeting("volume", "POST", f"{V}/snapshots", {"snapshot": {"volume_id": "$theirs"}}),
    Meeting("volume", "POST", f"{V}/attachments", {"attachment": {"volume_uuid": "$theirs"}},
            {"OpenStack-API-Version": "volume 3.70"}),
    Meeting("attachment", "POST", f"{V}/volumes/$volume/action", {"os-detach": {"attachment_id": "$theirs"}}),
    Meeting("project", "PUT", "/object-store/v1/AUTH_$project/mine/copy", headers={
        "X-Copy-From": "birds/crow", "X-Copy-From-Account": "AUTH_$theirs",
    }),
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def own(land: Land) -> dict[str, str]:
    """One of each, the stranger's."""
    who, ids = stranger(land), {"public": land.ids["public"]}
    flavor = {"flavor": {"name": "for-all", "ram": 128, "vcpus": 1, "disk": 1}}
    ids["flavor"] = (await land.make(f"{C}/flavors", flavor, 200, land.cloud.admin))["id"]
    ids["project"] = who.project_id
    ids["network"] = (await land.make(f"{N}/networks", {"network": {"name": "own"}}, who=who))["id"]
    subnet = {"network_id": ids["network"], "ip_version": 4, "cidr": "10.99.1.0/24"}
    await land.make(f"{N}/subnets", {"subnet": subnet}, who=who)
    for name, path, body in (
        ("port", "ports", {"port": {"network_id": ids["network"]}}), ("router", "routers", {"router": {}}),
        ("sg", "security-groups", {"security_group": {"name": "own"}}),
        ("fip", "floatingips", {"floatingip": {"floating_network_id": ids["public"]}}),
    ):
        ids[name] = (await land.make(f"{N}/{path}", body, who=who))["id"]
    made = await who.post("/image/v2/images", {"name": "own", "disk_format": "qcow2", "container_format": "bare"},
                          status=201)
    ids["image"] = made.json["id"]
    await who.put(f"/image/v2/images/{ids['image']}/file", empty(), content_type="application/octet-stream", status=204)
    ids["volume"] = (await land.make(f"{V}/volumes", {"volume": {"size": 1}}, 202, who))["id"]
    wish = filled(server("").body, ids)
    ids["server"] = (await land.make(f"{C}/servers", wish, 202, who))["id"]
    await who.put(f"/object-store/v1/AUTH_{ids['project']}/mine", status=201)
    assert await land.cloud.core.sagas.idle(20)
    await who.post(f"{V}/volumes/{ids['volume']}/action", {"os-attach": {"host_name": "h", "mountpoint": "/dev/vdc"}},
                   status=202)
    return ids


def stranger(land: Land) -> Persona:
    return next(who.client for who in land.people if who.name == "stranger")


@pytest.mark.parametrize("meeting", MEETINGS, ids=str)
async def test_invariant_3_what_is_anothers_is_as_if_it_were_not_there(
    land: Land, own: dict[str, str], meeting: Meeting
) -> None:
    before, answers = await snapshot(land.cloud), []
    for id in (land.ids[meeting.theirs], unknown_like(land.ids[meeting.theirs])):
        ids = own | {"theirs": id}
        headers = {name: fill(value, ids) for name, value in meeting.headers.items()}
        answer = await stranger(land).request(
            meeting.method, fill(meeting.path, ids), filled(meeting.body, ids), headers=headers, status=FITTING,
        )
        # It is refused for this id, and not for something else about the wish.
        assert answer.status == 403 or (answer.status >= 400 and id in answer.body.decode()), answer.body
        answers.append((answer.status, faceless(answer)))
        assert not told_by(answer, [secret for secret in land.secrets() if secret != id])
    assert answers[0] == answers[1]
    assert not difference(before, await snapshot(land.cloud))


async def test_the_strangers_own_would_have_been_taken(land: Land, own: dict[str, str]) -> None:
    """Or what stands beside the land's might be what is refused."""
    rehearsal = LATEST | {"X-Dry-Run": "true"}
    wish = filled(server("").body, own)
    await stranger(land).post(f"{C}/servers", wish, headers=rehearsal, status=202)
    mine = own | {"theirs": own["network"]}
    await stranger(land).post(f"{N}/ports", filled(port("network").body, mine), headers=rehearsal, status=201)
