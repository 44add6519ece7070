# SPDX-License-Identifier: Apache-2.0
"""Invariant 3 where things meet: whoever asks for something of their own can't have it made of another's.

In test_tenancy.py a stranger's every id is the land's, so the first look-up refuses; here all but one are the
stranger's own, so each look-up has to refuse by itself. The one thing to know first: with nothing of the land's in it
each wish must be granted, or its refusals would prove nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson
import pytest
import pytest_asyncio

from skyhold.core.qcow2 import empty
from skyhold.core.shapes import json_schema
from tests.kit.client import Answer
from tests.kit.cloud import Persona
from tests.tenancy.land import PUBLIC_KEY, Land, Someone
from tests.tenancy.operations import VARIABLE, Operation, every, fill, filled, unknown_like
from tests.tenancy.snapshot import difference, snapshot
from tests.tenancy.test_tenancy import FITTING, faceless, told_by

COMPUTE, NETWORK, VOLUME = "/compute/v2.1", "/network/v2.0", "/volume/v3"
VERSIONS = {"OpenStack-API-Version": "compute 2.96, volume 3.70"}


class Wish(NamedTuple):
    """`$name` in the path is the stranger's own; in the body it is the land's, one at a time."""

    method: str
    path: str
    body: Any


def server(*devices: Any, **more: Any) -> Wish:
    wish = {"name": "s", "imageRef": "$image", "flavorRef": "$flavor", "networks": "none"}
    local = {"source_type": "image", "uuid": "$image", "destination_type": "local", "boot_index": 0}
    listed = {"block_device_mapping_v2": [local, *devices]} if devices else {}
    hints = {"os:scheduler_hints": {"group": more.pop("group")}} if "group" in more else {}
    return Wish("POST", f"{COMPUTE}/servers", {"server": wish | listed | more, **hints})


def disk(source: str) -> dict[str, Any]:
    return {"source_type": source, "uuid": f"${source}", "destination_type": "volume", "volume_size": 1}


def port(**more: Any) -> Wish:
    return Wish("POST", f"{NETWORK}/ports", {"port": {"network_id": "$network"} | more})


def router(method: str, path: str, **more: Any) -> Wish:
    return Wish(method, f"{NETWORK}/{path}", {"router": {"external_gateway_info": {"network_id": "$gate"}} | more})


WISHES = [
    server(),
    server(networks=[{"uuid": "$network"}], security_groups=[{"name": "$sg"}]),
    server(networks=[{"port": "$port"}]),
    server(group="$server_group"),
    server(disk("volume")),
    server(disk("snapshot")),
    server(disk("image")),
    server(imageRef="", block_device_mapping_v2=[disk("image") | {"boot_index": 0}]),
    Wish("POST", f"{COMPUTE}/servers/$server/os-interface", {"interfaceAttachment": {"net_id": "$network"}}),
    Wish("POST", f"{COMPUTE}/servers/$server/os-interface", {"interfaceAttachment": {"port_id": "$port"}}),
    Wish("POST", f"{COMPUTE}/servers/$server/os-volume_attachments", {"volumeAttachment": {"volumeId": "$volume"}}),
    Wish("POST", f"{COMPUTE}/servers/$server/action", {"addSecurityGroup": {"name": "$sg"}}),
    server(block_device_mapping_v2=[], block_device_mapping=[{"device_name": "vdb", "volume_id": "$volume"}]),
    server(block_device_mapping_v2=[], block_device_mapping=[
        {"device_name": "vdb", "snapshot_id": "$snapshot", "volume_size": 1}
    ]),
    Wish("POST", f"{COMPUTE}/os-keypairs",
         {"keypair": {"name": "k", "public_key": PUBLIC_KEY, "user_id": "$owner", "type": "ssh"}}),
    Wish("POST", f"{NETWORK}/networks", {"network": {"project_id": "$project"}}),
    Wish("POST", f"{NETWORK}/subnets", {"subnet": {
        "network_id": "$network", "ip_version": 4, "cidr": "10.99.0.0/24", "project_id": "$project",
    }}),
    port(project_id="$project"),
    port(security_groups=["$sg"]),
    port(fixed_ips=[{"subnet_id": "$subnet"}]),
    Wish("POST", f"{NETWORK}/ports", {"ports": [{"network_id": "$network"}, {"network_id": "$free_network"}]}),
    Wish("PUT", f"{NETWORK}/ports/$port", {"port": {"security_groups": ["$sg"]}}),
    Wish("PUT", f"{NETWORK}/ports/$port", {"port": {"fixed_ips": [{"subnet_id": "$subnet"}]}}),
    Wish("POST", f"{NETWORK}/security-groups", {"security_group": {"name": "g", "project_id": "$project"}}),
    Wish("POST", f"{NETWORK}/security-group-rules", {"security_group_rule": {
        "security_group_id": "$sg", "direction": "ingress", "remote_group_id": "$other_sg", "project_id": "$project",
    }}),
    router("POST", "routers", project_id="$project"),
    router("PUT", "routers/$router"),
    *(Wish("PUT", f"{NETWORK}/routers/$router/{verb}_router_interface", {key: f"${name}"}) for verb, key, name in (
        ("add", "subnet_id", "free_subnet"), ("add", "port_id", "free_port"), ("remove", "subnet_id", "subnet"),
        ("remove", "port_id", "door"),
    )),
    Wish("POST", f"{NETWORK}/floatingips",
         {"floatingip": {"floating_network_id": "$gate", "port_id": "$port", "project_id": "$project"}}),
    Wish("POST", f"{NETWORK}/floatingips",
         {"floatingip": {"floating_network_id": "$gate", "subnet_id": "$gate_subnet"}}),
    Wish("PUT", f"{NETWORK}/floatingips/$fip", {"floatingip": {"port_id": "$port"}}),
    Wish("POST", f"{VOLUME}/volumes", {"volume": {"size": 1, "snapshot_id": "$snapshot"}}),
    Wish("POST", f"{VOLUME}/volumes", {"volume": {"size": 1, "source_volid": "$volume"}}),
    Wish("POST", f"{VOLUME}/volumes", {"volume": {"size": 1, "imageRef": "$image"}}),
    Wish("POST", f"{VOLUME}/snapshots", {"snapshot": {"volume_id": "$volume"}}),
    Wish("POST", f"{VOLUME}/attachments", {"attachment": {"volume_uuid": "$volume"}}),
]

ON_A_SERVER, COPIES = f"{COMPUTE}/servers/$server", "/object-store/v1/AUTH_$project/mine/copy"
BENEATH: list[tuple[str, Wish, dict[str, str]]] = [
    # What is the land's (`$theirs`) beneath something of the stranger's own, or in a header of it.
    *(("server_port", Wish(method, f"{ON_A_SERVER}/os-interface/$theirs", None), {}) for method in ("GET", "DELETE")),
    *(("server_volume", Wish(method, f"{ON_A_SERVER}/os-volume_attachments/$theirs", None), {})
      for method in ("GET", "DELETE")),
    ("request", Wish("GET", f"{ON_A_SERVER}/os-instance-actions/$theirs", None), {}),
    ("sg", Wish("POST", f"{ON_A_SERVER}/action", {"removeSecurityGroup": {"name": "$theirs"}}), {}),
    ("attachment", Wish("POST", f"{VOLUME}/volumes/$used/action", {"os-detach": {"attachment_id": "$theirs"}}), {}),
    ("project", Wish("PUT", COPIES, None),
     {"X-Copy-From": "birds/crow", "X-Copy-From-Account": "AUTH_$theirs"}),
]

NO_REFERENCES = {
    # Fields that sound like one, by service or operation, and why no wish has them.
    "network provider:segmentation_id": "a number",
    "network networks": "many at once, each as one",
    "network binding:host_id": "an administrator's",
    "network POST /v2.0/routers subnet_id": "an administrator's",
    "network PUT /v2.0/routers/{router_id} subnet_id": "an administrator's",
    "network device_id": "tests/story/compute/test_foreign_ports.py",
    "network tenant_id": "project_id by its elder name",
    "network qos_policy_id": "there are none", "network segment_id": "there are none",
    "network subnetpool_id": "there are none", "network flavor_id": "there are none",
    "network remote_address_group_id": "there are none",
    "image glance_image_id": "of another cloud",
    "volume backup_id": "refused", "volume consistencygroup_id": "refused", "volume group_id": "refused",
    "volume image_id": "imageRef by its elder name",
    "volume instance_uuid": "a word: nothing is looked up by it",
    "volume attachment_id": "looked up among the volume's own",
    "compute image_id": "a word: what is booted from is imageRef or a disk's uuid",
    "compute return_reservation_id": "a flag",
    "compute PUT /v2.1/servers/{server_id}/os-volume_attachments/{volume_id} volumeId": "an administrator's",
    "compute serverId": "compared with what is there, nothing is looked up by it",
    "volume tenant_id": "an administrator's", "compute tenant_id": "an administrator's",
    "compute tenant": "an administrator's",
}
SOUNDS_LIKE_ONE = re.compile(r"(_id|_ids|Ref|uuid|volid|Id|tenant|security_groups|networks)$")
SERVICES = ("network", "image", "volume", "compute")
"""What tenants have. In identity, a body's other project or domain is the policy's matter: test_tenancy.py."""

ALIKE = {"free_network": "network", "free_subnet": "subnet", "free_port": "port", "other_sg": "sg", "gate": "network",
         "gate_subnet": "subnet", "volume": "spare_volume", "door": "server_port"}
"""What of the land stands for what the stranger has twice, or in another state."""
REFERENCE = re.compile(r"\$([a-z_]+)")


def references() -> list[Any]:
    found = []
    for wish in WISHES:
        for name in sorted(set(REFERENCE.findall(orjson.dumps(wish.body).decode()))):
            service = wish.path.split("/")[1]
            found.append(pytest.param(wish, name, id=f"{service} {wish.method} {wish.path.rpartition('/')[2]} {name}"))
    return found


# ---- what the kit covers ---------------------------------------------------------------------


@every(lambda operation: operation.service.name in SERVICES and operation.route.body is not None)
def test_every_field_that_sounds_like_a_reference_is_in_a_wish(operation: Operation) -> None:
    tried = {key for wish in WISHES if is_of(wish, operation) for key in keys_of_references(wish.body)}
    service = operation.service.name
    missing = [
        name for name in sorted(set(field_names(json_schema(operation.route.body, operation.version))))
        if SOUNDS_LIKE_ONE.search(name) and name not in tried
        and f"{service} {name}" not in NO_REFERENCES and f"{operation.name} {name}" not in NO_REFERENCES
    ]
    assert not missing, f"{operation.name}: a wish with another's {missing}, or a line in NO_REFERENCES"


def is_of(wish: Wish, operation: Operation) -> bool:
    path = VARIABLE.sub("[^/]+", operation.service.prefix + operation.route.path)
    action = operation.route.action
    return wish.method == operation.route.method and bool(re.fullmatch(path, wish.path)) and (
        action is None or action in wish.body
    )


def keys_of_references(body: Any, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Every key on the way to a reference."""
    if isinstance(body, dict):
        for key, value in body.items():
            yield from keys_of_references(value, (*above, key))
    elif isinstance(body, list):
        for value in body:
            yield from keys_of_references(value, above)
    elif isinstance(body, str) and REFERENCE.fullmatch(body):
        yield from above


def field_names(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from field_names(inner)
    for word in ("items", "additionalProperties"):
        yield from field_names(schema.get(word))
    for word in ("anyOf", "oneOf"):
        for inner in schema.get(word, ()):
            yield from field_names(inner)


# ---- who wishes --------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stranger(land: Land) -> Someone:
    return next(who for who in land.people if who.name == "stranger")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def own(land: Land, stranger: Someone) -> dict[str, str]:
    """Everything that the wishes are made of, the stranger's own."""
    me = stranger.client
    ids = {"owner": str(me.user_id), "project": str(me.project_id), "gate": land.ids["public"]}
    await network(me, ids)
    await disks(land, me, ids)
    flavor = {"flavor": {"name": "for-strangers", "ram": 64, "vcpus": 1, "disk": 1}}
    ids["flavor"] = (await land.cloud.admin.post(f"{COMPUTE}/flavors", flavor, status=200)).json["flavor"]["id"]
    group = {"server_group": {"name": "mine", "policy": "soft-affinity"}}
    ids["server_group"] = await made(me, f"{COMPUTE}/os-server-groups", group)
    ids["server"] = await made(me, f"{COMPUTE}/servers", filled(server().body, ids))
    assert await land.cloud.core.sagas.idle()
    return ids


async def made(me: Persona, path: str, body: Any) -> str:
    answer = await me.post(path, body, headers=VERSIONS, status=(200, 201, 202))
    (kind,) = body
    return str(answer.json[kind]["id"])


async def network(me: Persona, ids: dict[str, str]) -> None:
    for prefix, cidr in (("", "10.91.0.0/24"), ("free_", "10.92.0.0/24")):
        ids[prefix + "network"] = await made(me, f"{NETWORK}/networks", {"network": {"name": prefix + "mine"}})
        subnet = {"network_id": ids[prefix + "network"], "ip_version": 4, "cidr": cidr}
        ids[prefix + "subnet"] = await made(me, f"{NETWORK}/subnets", {"subnet": subnet})
        port = {"network_id": ids[prefix + "network"]}
        ids[prefix + "port"] = await made(me, f"{NETWORK}/ports", {"port": port})
    for name in ("sg", "other_sg"):
        ids[name] = await made(me, f"{NETWORK}/security-groups", {"security_group": {"name": name}})
    gate = (await me.get(f"{NETWORK}/networks/{ids['gate']}", status=200)).json["network"]
    (ids["gate_subnet"],) = gate["subnets"]
    gateway = {"external_gateway_info": {"network_id": ids["gate"]}}
    ids["router"] = await made(me, f"{NETWORK}/routers", {"router": {"name": "mine"} | gateway})
    door = {"subnet_id": ids["subnet"]}
    answer = await me.put(f"{NETWORK}/routers/{ids['router']}/add_router_interface", door, status=200)
    ids["door"] = answer.json["port_id"]
    ids["fip"] = await made(me, f"{NETWORK}/floatingips", {"floatingip": {"floating_network_id": ids["gate"]}})


async def disks(land: Land, me: Persona, ids: dict[str, str]) -> None:
    image = {"name": "mine", "disk_format": "qcow2", "container_format": "bare"}
    ids["image"] = (await me.post("/image/v2/images", image, status=201)).json["id"]
    await me.put(f"/image/v2/images/{ids['image']}/file", empty(), content_type="application/octet-stream", status=204)
    ids["volume"] = await made(me, f"{VOLUME}/volumes", {"volume": {"size": 1}})
    assert await land.cloud.core.sagas.idle()
    ids["used"] = await made(me, f"{VOLUME}/volumes", {"volume": {"size": 1}})
    assert await land.cloud.core.sagas.idle()
    held = {"os-attach": {"host_name": "h", "mountpoint": "/dev/vdc"}}
    await me.post(f"{VOLUME}/volumes/{ids['used']}/action", held, headers=VERSIONS, status=202)
    await me.put(f"/object-store/v1/AUTH_{ids['project']}/mine", status=201)
    ids["snapshot"] = await made(me, f"{VOLUME}/snapshots", {"snapshot": {"volume_id": ids["volume"]}})
    assert await land.cloud.core.sagas.idle()


# ---- the law -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("wish", "name"), references())
async def test_invariant_3_nothing_is_made_of_what_is_anothers(
    land: Land, stranger: Someone, own: dict[str, str], wish: Wish, name: str
) -> None:
    theirs = land.ids[ALIKE.get(name, name)]
    granted = await send(stranger, wish, own, own, rehearse=True)
    assert granted.status < 400, granted.body
    before = await snapshot(land.cloud)
    refused = await send(stranger, wish, own, own | {name: theirs})
    unknown = await send(stranger, wish, own, own | {name: unknown_like(theirs)})
    assert 400 <= refused.status < 500, refused.body
    assert (refused.status, faceless(refused)) == (unknown.status, faceless(unknown))
    assert not told_by(refused, [secret for secret in land.secrets() if secret != theirs])
    assert not difference(before, await snapshot(land.cloud))


@pytest.mark.parametrize(("name", "wish", "headers"), BENEATH, ids=[f"{w.method} {w.path}" for _, w, _ in BENEATH])
async def test_invariant_3_what_is_anothers_is_not_found_beneath_ones_own(
    land: Land, stranger: Someone, own: dict[str, str], name: str, wish: Wish, headers: dict[str, str]
) -> None:
    before, answers = await snapshot(land.cloud), []
    for id in (land.ids[name], unknown_like(land.ids[name])):
        ids = own | {"theirs": id}
        sent = VERSIONS | {key: fill(value, ids) for key, value in headers.items()}
        answer = await stranger.client.request(
            wish.method, fill(wish.path, ids), filled(wish.body, ids), headers=sent, status=FITTING
        )
        # It is refused for this id, and not for something else about the wish.
        assert answer.status == 403 or (answer.status >= 400 and id in answer.body.decode()), answer.body
        assert not told_by(answer, [secret for secret in land.secrets() if secret != id])
        answers.append((answer.status, faceless(answer)))
    assert answers[0] == answers[1]
    assert not difference(before, await snapshot(land.cloud))


async def send(
    who: Someone, wish: Wish, own: Mapping[str, str], ids: Mapping[str, str], *, rehearse: bool = False
) -> Answer:
    headers = VERSIONS | ({"X-Dry-Run": "true"} if rehearse else {})
    path, body = fill(wish.path, own), filled(wish.body, ids)
    return await who.client.request(wish.method, path, body, headers=headers, status=FITTING)
