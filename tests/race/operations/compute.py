# SPDX-License-Identifier: Apache-2.0
"""Races of compute's operations.

What an entry means is ../duel.py. Servers boot on the fake host of the race's cloud; a race about one
waits for it to come to rest first.
"""

from __future__ import annotations

import itertools
from typing import Any

from skyhold.compute import hosts
from skyhold.core.context import internal
from tests.kit.compute_rows import a_host
from tests.race.duel import Call, Duel, Ground, name, race

C = "/compute/v2.1"
LATEST = {"OpenStack-API-Version": "compute 2.96"}
numbers = itertools.count(1)


# ---- keypairs and flavors ----------------------------------------------------------------------

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl race"


async def a_keypair(g: Ground, who: str) -> str:
    await g.user.post(f"{C}/os-keypairs", {"keypair": {"name": who, "public_key": PUBLIC}}, status=(200, 201))
    return f"{C}/os-keypairs/{who}"


@race("POST /compute/v2.1/os-keypairs")
async def create_keypair(g: Ground) -> Duel:
    old, body = await a_keypair(g, name()), {"keypair": {"name": name(), "public_key": PUBLIC, "type": "ssh"}}
    one = Call(g.user, "POST", f"{C}/os-keypairs", body)
    return Duel(one, gone=Call(g.user, "DELETE", old, headers=LATEST), winners=(1,))


@race("DELETE /compute/v2.1/os-keypairs/{keypair_name}")
async def delete_keypair(g: Ground) -> Duel:
    return Duel(Call(g.user, "DELETE", await a_keypair(g, name())), winners=(1,))


async def a_flavor(g: Ground, **more: Any) -> str:
    made = await g.make(f"{C}/flavors", "flavor", name=name(), ram=128, vcpus=1, disk=1, **more)
    return f"{C}/flavors/{made['id']}"


def of_flavor(g: Ground, flavor: str, one: Call, two: Call | None = None, **more: Any) -> Duel:
    return Duel(one, two, Call(g.admin, "DELETE", flavor, headers=LATEST), **more)


@race("POST /compute/v2.1/flavors")
async def create_flavor(g: Ground) -> Duel:
    body = {"flavor": {"name": name(), "ram": 128, "vcpus": 1, "disk": 1}}
    return of_flavor(g, await a_flavor(g), Call(g.admin, "POST", f"{C}/flavors", body), winners=(1,))


@race("PUT /compute/v2.1/flavors/{flavor_id}")
async def describe_flavor(g: Ground) -> Duel:
    flavor = await a_flavor(g)
    return of_flavor(g, flavor, Call(g.admin, "PUT", flavor, {"flavor": {"description": "x"}}), winners=(2,))


@race("DELETE /compute/v2.1/flavors/{flavor_id}")
async def delete_flavor(g: Ground) -> Duel:
    return Duel(Call(g.admin, "DELETE", await a_flavor(g)), winners=(1,))


@race("POST /compute/v2.1/flavors/{flavor_id}/action addTenantAccess")
async def give_flavor(g: Ground) -> Duel:
    flavor = await a_flavor(g, **{"os-flavor-access:is_public": False})
    body = {"addTenantAccess": {"tenant": g.user.project_id}}
    return of_flavor(g, flavor, Call(g.admin, "POST", flavor + "/action", body), winners=(1,))


@race("POST /compute/v2.1/flavors/{flavor_id}/action removeTenantAccess")
async def take_flavor(g: Ground) -> Duel:
    flavor = await a_flavor(g, **{"os-flavor-access:is_public": False})
    body = {"tenant": g.user.project_id}
    await g.admin.post(flavor + "/action", {"addTenantAccess": body}, headers=LATEST, status=200)
    one = Call(g.admin, "POST", flavor + "/action", {"removeTenantAccess": body})
    return of_flavor(g, flavor, one, winners=(1,))


@race("POST /compute/v2.1/flavors/{flavor_id}/os-extra_specs")
async def add_specs(g: Ground) -> Duel:
    flavor = await a_flavor(g)
    at = flavor + "/os-extra_specs"
    one, two = (Call(g.admin, "POST", at, {"extra_specs": {f"hw:cpu_{key}": "1"}}) for key in ("sockets", "cores"))
    kept = {"extra_specs": {"hw:cpu_sockets": "1", "hw:cpu_cores": "1"}}
    return of_flavor(g, flavor, one, two, winners=(2,), keeps=(g.admin, at, kept))


@race("PUT /compute/v2.1/flavors/{flavor_id}/os-extra_specs/{spec_key}")
async def set_spec(g: Ground) -> Duel:
    flavor = await a_flavor(g)
    at = flavor + "/os-extra_specs"
    await g.admin.post(at, {"extra_specs": {"hw:cpu_sockets": "1", "hw:cpu_cores": "1"}}, status=200)
    one, two = (Call(g.admin, "PUT", f"{at}/hw:cpu_{key}", {f"hw:cpu_{key}": "2"}) for key in ("sockets", "cores"))
    kept = {"extra_specs": {"hw:cpu_sockets": "2", "hw:cpu_cores": "2"}}
    return of_flavor(g, flavor, one, two, winners=(2,), keeps=(g.admin, at, kept))


@race("DELETE /compute/v2.1/flavors/{flavor_id}/os-extra_specs/{spec_key}")
async def drop_spec(g: Ground) -> Duel:
    flavor = await a_flavor(g)
    await g.admin.post(flavor + "/os-extra_specs", {"extra_specs": {"hw:cpu_cores": "1"}}, status=200)
    return of_flavor(g, flavor, Call(g.admin, "DELETE", flavor + "/os-extra_specs/hw:cpu_cores"), winners=(1,))


# ---- quotas ------------------------------------------------------------------------------------


@race("PUT /compute/v2.1/os-quota-sets/{project_id}")
async def set_quota(g: Ground) -> Duel:
    at = f"{C}/os-quota-sets/{(await g.cloud.project()).project_id}"
    one, two = (Call(g.admin, "PUT", at, {"quota_set": {kind: 7}}) for kind in ("instances", "cores"))
    kept = {"quota_set": {"instances": 7, "cores": 7}}
    return Duel(one, two, Call(g.admin, "DELETE", at), winners=(2,), keeps=(g.admin, at, kept))


@race("DELETE /compute/v2.1/os-quota-sets/{project_id}")
async def clear_quota(g: Ground) -> Duel:
    at = f"{C}/os-quota-sets/{(await g.cloud.project()).project_id}"
    await g.admin.put(at, {"quota_set": {"cores": 7}}, status=200)
    return Duel(Call(g.admin, "DELETE", at), gone=Call(g.admin, "PUT", at, {"quota_set": {"cores": 8}}), winners=(2,))


@race("PUT /compute/v2.1/os-quota-class-sets/{class_name}")
async def set_class(g: Ground) -> Duel:
    body = {"quota_class_set": {"injected_file_path_bytes": 255}}
    one = Call(g.admin, "PUT", f"{C}/os-quota-class-sets/default", body, {"OpenStack-API-Version": "compute 2.56"})
    # Nothing takes the defaults away.
    return Duel(one, gone=one, winners=(2,))


# ---- hosts as services --------------------------------------------------------------------------


async def a_service(g: Ground) -> tuple[str, str]:
    """(id, name) of a host that nobody is on; it stays until the cloud is gone."""
    lasting = a_host(g.cloud)
    LASTING.append(lasting)
    host_id, host = await lasting.__aenter__()
    await internal(g.cloud.core).write(hosts.mark, host_id, False)
    return host_id, host


LASTING: list[Any] = []
"""So that no host is left before its race."""


def of_service(g: Ground, host_id: str, one: Call) -> Duel:
    gone = Call(g.admin, "DELETE", f"{C}/os-services/{host_id}", headers=LATEST)
    # 400: as upstream, a service that is up can't be removed, nor one be named that isn't there.
    return Duel(one, gone=gone, winners=(2,), refusals=(400,))


@race("PUT /compute/v2.1/os-services/enable", "PUT /compute/v2.1/os-services/disable")
async def enable(g: Ground) -> Duel:
    host_id, host = await a_service(g)
    body = {"host": host, "binary": "nova-compute"}
    return of_service(g, host_id, Call(g.admin, "PUT", f"{C}/os-services/disable", body))


@race("PUT /compute/v2.1/os-services/disable-log-reason")
async def disable_why(g: Ground) -> Duel:
    host_id, host = await a_service(g)
    body = {"host": host, "binary": "nova-compute", "disabled_reason": "race"}
    return of_service(g, host_id, Call(g.admin, "PUT", f"{C}/os-services/disable-log-reason", body))


@race("PUT /compute/v2.1/os-services/force-down")
async def force_down(g: Ground) -> Duel:
    host_id, host = await a_service(g)
    body = {"host": host, "binary": "nova-compute", "forced_down": True}
    return of_service(g, host_id, Call(g.admin, "PUT", f"{C}/os-services/force-down", body))


@race("PUT /compute/v2.1/os-services/{service_id}")
async def change_service(g: Ground) -> Duel:
    host_id, _ = await a_service(g)
    return of_service(g, host_id, Call(g.admin, "PUT", f"{C}/os-services/{host_id}", {"status": "disabled"}))


@race("DELETE /compute/v2.1/os-services/{service_id}")
async def delete_service(g: Ground) -> Duel:
    host_id, _ = await a_service(g)
    return Duel(Call(g.admin, "DELETE", f"{C}/os-services/{host_id}"), winners=(1,))


# ---- server groups and aggregates ---------------------------------------------------------------


async def a_group(g: Ground) -> str:
    body = {"server_group": {"name": name(), "policy": "affinity"}}
    answer = await g.user.post(f"{C}/os-server-groups", body, headers=LATEST, status=200)
    return f"{C}/os-server-groups/{answer.json['server_group']['id']}"


@race("POST /compute/v2.1/os-server-groups")
async def create_group(g: Ground) -> Duel:
    body = {"server_group": {"name": name(), "policy": "affinity"}}
    one = Call(g.user, "POST", f"{C}/os-server-groups", body)
    return Duel(one, gone=Call(g.user, "DELETE", await a_group(g)), winners=(2,))


@race("DELETE /compute/v2.1/os-server-groups/{group_id}")
async def delete_group(g: Ground) -> Duel:
    return Duel(Call(g.user, "DELETE", await a_group(g)), winners=(1,))


async def an_aggregate(g: Ground) -> str:
    made = await g.make(f"{C}/os-aggregates", "aggregate", name=name())
    return f"{C}/os-aggregates/{made['id']}"


def of_aggregate(g: Ground, aggregate: str, one: Call, two: Call | None = None, **more: Any) -> Duel:
    # 400: as upstream, an aggregate with hosts in it isn't deleted.
    return Duel(one, two, Call(g.admin, "DELETE", aggregate, headers=LATEST), **{"refusals": (400,), **more})


@race("POST /compute/v2.1/os-aggregates")
async def create_aggregate(g: Ground) -> Duel:
    one = Call(g.admin, "POST", f"{C}/os-aggregates", {"aggregate": {"name": name()}})
    return of_aggregate(g, await an_aggregate(g), one, winners=(1,))


@race("PUT /compute/v2.1/os-aggregates/{aggregate_id}")
async def change_aggregate(g: Ground) -> Duel:
    aggregate = await an_aggregate(g)
    new = name()
    one = Call(g.admin, "PUT", aggregate, {"aggregate": {"name": new}})
    two = Call(g.admin, "PUT", aggregate, {"aggregate": {"availability_zone": "race"}})
    kept = {"aggregate": {"name": new, "metadata": {"availability_zone": "race"}}}
    return of_aggregate(g, aggregate, one, two, winners=(2,), keeps=(g.admin, aggregate, kept))


@race("DELETE /compute/v2.1/os-aggregates/{aggregate_id}")
async def delete_aggregate(g: Ground) -> Duel:
    return Duel(Call(g.admin, "DELETE", await an_aggregate(g)), winners=(1,))


@race("POST /compute/v2.1/os-aggregates/{aggregate_id}/action add_host")
async def add_host(g: Ground) -> Duel:
    aggregate = await an_aggregate(g)
    one = Call(g.admin, "POST", aggregate + "/action", {"add_host": {"host": g.host_name}})
    return of_aggregate(g, aggregate, one, winners=(1,))


@race("POST /compute/v2.1/os-aggregates/{aggregate_id}/action remove_host")
async def remove_host(g: Ground) -> Duel:
    aggregate = await an_aggregate(g)
    await g.admin.post(aggregate + "/action", {"add_host": {"host": g.host_name}}, status=200)
    one = Call(g.admin, "POST", aggregate + "/action", {"remove_host": {"host": g.host_name}})
    return of_aggregate(g, aggregate, one, winners=(1,))


@race("POST /compute/v2.1/os-aggregates/{aggregate_id}/action set_metadata")
async def set_metadata(g: Ground) -> Duel:
    aggregate = await an_aggregate(g)
    one, two = (
        Call(g.admin, "POST", aggregate + "/action", {"set_metadata": {"metadata": {key: "x"}}}) for key in "ab"
    )
    kept = {"aggregate": {"metadata": {"a": "x", "b": "x"}}}
    return of_aggregate(g, aggregate, one, two, winners=(2,), keeps=(g.admin, aggregate, kept))


# ---- servers -------------------------------------------------------------------------------------


def wish(g: Ground, **more: Any) -> dict[str, Any]:
    body = {"name": name(), "imageRef": g.image_id, "flavorRef": g.flavor_id, "networks": [{"uuid": g.network_id}]}
    return {"server": body | more}


async def a_server(g: Ground, **more: Any) -> str:
    made = await g.user.post(f"{C}/servers", wish(g, **more), headers=LATEST, status=202)
    assert await g.cloud.core.sagas.idle()
    return f"{C}/servers/{made.json['server']['id']}"


async def stopped(g: Ground, server: str, *verbs: str) -> str:
    for verb in verbs:
        await g.user.post(server + "/action", {verb: None}, headers=LATEST, status=202)
        assert await g.cloud.core.sagas.idle()
    return server


def of_server(g: Ground, server: str, one: Call, two: Call | None = None, **more: Any) -> Duel:
    return Duel(one, two, Call(g.user, "DELETE", server, headers=LATEST), **more)


@race("POST /compute/v2.1/servers")
async def create_server(g: Ground) -> Duel:
    port = await g.make("/network/v2.0/ports", "port", g.user, network_id=g.network_id)
    body = wish(g, networks=[{"port": port["id"]}])
    # 400: as upstream, a port that isn't there makes the wish wrong.
    gone = Call(g.user, "DELETE", f"/network/v2.0/ports/{port['id']}")
    return Duel(Call(g.user, "POST", f"{C}/servers", body), gone=gone, winners=(1,), refusals=(400,))


@race("PUT /compute/v2.1/servers/{server_id}")
async def change_server(g: Ground) -> Duel:
    server = await a_server(g)
    one, two = (Call(g.user, "PUT", server, {"server": change}) for change in ({"name": "one"}, {"description": "two"}))
    kept = {"server": {"name": "one", "description": "two"}}
    at = Call(g.user, "PUT", server, None, LATEST)
    return of_server(g, server, one, two, winners=(2,), keeps=(latest(at), server, kept))


def latest(call: Call) -> Any:
    """The same client, asking at the newest version."""
    from dataclasses import replace

    return replace(call.who, version="compute 2.96")


@race("DELETE /compute/v2.1/servers/{server_id}")
async def delete_server(g: Ground) -> Duel:
    return Duel(Call(g.user, "DELETE", await a_server(g)))


def action(key: str, value: Any, *before: str, admin: bool = False, **more: Any) -> None:
    @race(f"POST /compute/v2.1/servers/{{server_id}}/action {key}")
    async def act(g: Ground) -> Duel:
        server = await stopped(g, await a_server(g), *before)
        one = Call(g.admin if admin else g.user, "POST", server + "/action", {key: value})
        return of_server(g, server, one, **more)


action("os-start", None, "os-stop")
action("os-stop", None)
action("pause", None)
action("unpause", None, "pause")
action("suspend", None)
action("resume", None, "suspend")
action("reboot", {"type": "SOFT"})
action("lock", None, winners=(2,))
action("unlock", None, "lock", winners=(2,))
action("createImage", {"name": "snapshot"})
action("os-getConsoleOutput", {}, winners=(2,))
action("os-resetState", {"state": "error"}, admin=True, winners=(2,))


@race("POST /compute/v2.1/servers/{server_id}/action addSecurityGroup")
async def add_group(g: Ground) -> Duel:
    server = await a_server(g)
    one, two = [
        Call(g.user, "POST", server + "/action", {"addSecurityGroup": {"name": await a_security_group(g)}})
        for _ in range(2)
    ]
    groups = [{"name": call.body["addSecurityGroup"]["name"]} for call in (one, two)]
    keeps = (g.user, server, {"server": {"security_groups": groups}})
    return of_server(g, server, one, two, winners=(2,), keeps=keeps)


@race("POST /compute/v2.1/servers/{server_id}/action removeSecurityGroup")
async def remove_group(g: Ground) -> Duel:
    server = await a_server(g)
    one = Call(g.user, "POST", server + "/action", {"removeSecurityGroup": {"name": "default"}})
    return of_server(g, server, one, winners=(1,))


async def a_security_group(g: Ground) -> str:
    made = await g.make("/network/v2.0/security-groups", "security_group", g.user, name=name())
    return str(made["name"])


@race("POST /compute/v2.1/servers/{server_id}/metadata", "PUT /compute/v2.1/servers/{server_id}/metadata/{key}")
async def add_metadata(g: Ground) -> Duel:
    server = await a_server(g)
    one = Call(g.user, "POST", server + "/metadata", {"metadata": {"a": "x"}})
    two = Call(g.user, "PUT", server + "/metadata/b", {"meta": {"b": "x"}})
    keeps = (g.user, server + "/metadata", {"metadata": {"a": "x", "b": "x"}})
    return of_server(g, server, one, two, winners=(2,), keeps=keeps)


@race("PUT /compute/v2.1/servers/{server_id}/metadata")
async def replace_metadata(g: Ground) -> Duel:
    server = await a_server(g)
    one, two = (Call(g.user, "PUT", server + "/metadata", {"metadata": {key: "x"}}) for key in "ab")
    return of_server(g, server, one, two, winners=(2,))


@race("DELETE /compute/v2.1/servers/{server_id}/metadata/{key}")
async def drop_metadata(g: Ground) -> Duel:
    server = await a_server(g, metadata={"a": "x"})
    return of_server(g, server, Call(g.user, "DELETE", server + "/metadata/a"), winners=(1,))


@race("PUT /compute/v2.1/servers/{server_id}/tags/{tag}")
async def add_tag(g: Ground) -> Duel:
    server = await a_server(g)
    one, two = (Call(g.user, "PUT", f"{server}/tags/{tag}") for tag in "ab")
    return of_server(g, server, one, two, winners=(2,), keeps=(latest(one), server + "/tags", {"tags": ["a", "b"]}))


@race("PUT /compute/v2.1/servers/{server_id}/tags")
async def set_tags(g: Ground) -> Duel:
    server = await a_server(g)
    one, two = (Call(g.user, "PUT", f"{server}/tags", {"tags": tags}) for tags in (["a", "b"], ["b", "c"]))
    return of_server(g, server, one, two, winners=(2,))


@race("DELETE /compute/v2.1/servers/{server_id}/tags/{tag}")
async def drop_tag(g: Ground) -> Duel:
    server = await a_server(g, tags=["a"])
    return of_server(g, server, Call(g.user, "DELETE", f"{server}/tags/a"), winners=(1,))


@race("DELETE /compute/v2.1/servers/{server_id}/tags")
async def clear_tags(g: Ground) -> Duel:
    server = await a_server(g, tags=["a"])
    return of_server(g, server, Call(g.user, "DELETE", f"{server}/tags"), winners=(2,))


@race("POST /compute/v2.1/servers/{server_id}/os-interface")
async def attach(g: Ground) -> Duel:
    server = await a_server(g)
    port = await g.make("/network/v2.0/ports", "port", g.user, network_id=g.network_id)
    body = {"interfaceAttachment": {"port_id": port["id"]}}
    return of_server(g, server, Call(g.user, "POST", server + "/os-interface", body), winners=(1,), refusals=(400,))


@race("DELETE /compute/v2.1/servers/{server_id}/os-interface/{port_id}")
async def detach(g: Ground) -> Duel:
    server = await a_server(g)
    ports = (await g.user.get(server + "/os-interface", status=200)).json["interfaceAttachments"]
    return of_server(g, server, Call(g.user, "DELETE", f"{server}/os-interface/{ports[0]['port_id']}"))


async def a_volume(g: Ground) -> str:
    made = await g.make("/volume/v3/volumes", "volume", g.user, size=1)
    assert await g.cloud.core.sagas.idle()
    return str(made["id"])


@race("POST /compute/v2.1/servers/{server_id}/os-volume_attachments")
async def attach_volume(g: Ground) -> Duel:
    server, body = await a_server(g), {"volumeAttachment": {"volumeId": await a_volume(g)}}
    one = Call(g.user, "POST", server + "/os-volume_attachments", body)
    return of_server(g, server, one, winners=(1,), refusals=(400,))


async def attached_volume(g: Ground, server: str) -> str:
    volume_id = await a_volume(g)
    body = {"volumeAttachment": {"volumeId": volume_id}}
    await g.user.post(server + "/os-volume_attachments", body, status=200)
    assert await g.cloud.core.sagas.idle()
    return f"{server}/os-volume_attachments/{volume_id}"


@race("PUT /compute/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}")
async def change_attachment(g: Ground) -> Duel:
    server = await a_server(g)
    path = await attached_volume(g, server)
    body = {"volumeAttachment": {"volumeId": path.rpartition("/")[2], "delete_on_termination": True}}
    return of_server(g, server, Call(g.user, "PUT", path, body, LATEST), winners=(2,))


@race("DELETE /compute/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}")
async def detach_volume(g: Ground) -> Duel:
    server = await a_server(g)
    return of_server(g, server, Call(g.user, "DELETE", await attached_volume(g, server)))
