# SPDX-License-Identifier: Apache-2.0
"""Races of network's operations.

What an entry means is ../duel.py.
"""

from __future__ import annotations

import itertools
from typing import Any

from tests.race.duel import Call, Duel, Ground, name, race

N = "/network/v2.0"
numbers = itertools.count(1)
PATHS = {"security_group": "security-groups", "security_group_rule": "security-group-rules"}


async def a(g: Ground, kind: str, **body: Any) -> dict[str, Any]:
    return await g.make(f"{N}/{PATHS.get(kind, kind + 's')}", kind, g.user, **body)


def path(kind: str, made: dict[str, Any]) -> str:
    return f"{N}/{PATHS.get(kind, kind + 's')}/{made['id']}"


async def a_network(g: Ground, cidr: str = "10.1.0.0/24") -> tuple[dict[str, Any], dict[str, Any]]:
    network = await a(g, "network", name=name())
    return network, await a(g, "subnet", network_id=network["id"], ip_version=4, cidr=cidr)


async def a_router(g: Ground, **body: Any) -> dict[str, Any]:
    return await a(g, "router", name=name(), **body)


def creation(g: Ground, kind: str, body: dict[str, Any], gone: str, **more: Any) -> Duel:
    one = Call(g.user, "POST", f"{N}/{PATHS.get(kind, kind + 's')}", {kind: body})
    return Duel(one, gone=Call(g.user, "DELETE", gone), **more)


def change(g: Ground, kind: str, made: dict[str, Any], first: dict[str, Any], second: dict[str, Any]) -> Duel:
    """Two changes of different attributes, neither of which may be lost; each counts in the revision."""
    at = path(kind, made)
    revision = {"revision_number": made["revision_number"] + 2}
    return Duel(
        Call(g.user, "PUT", at, {kind: first}), Call(g.user, "PUT", at, {kind: second}), winners=(2,),
        gone=Call(g.user, "DELETE", at), keeps=(g.user, at, {kind: first | second | revision}),
    )


def removal(g: Ground, at: str, gone: str | None = None) -> Duel:
    return Duel(Call(g.user, "DELETE", at), gone=Call(g.user, "DELETE", gone) if gone else None, winners=(1,))


# ---- networks and subnets --------------------------------------------------------------------


@race("POST /network/v2.0/networks")
async def create_network(g: Ground) -> Duel:
    return creation(g, "network", {"name": name()}, path("network", await a(g, "network")))


@race("PUT /network/v2.0/networks/{network_id}")
async def change_network(g: Ground) -> Duel:
    return change(g, "network", await a(g, "network"), {"name": "one"}, {"description": "two"})


@race("DELETE /network/v2.0/networks/{network_id}")
async def delete_network(g: Ground) -> Duel:
    network, subnet = await a_network(g)
    return removal(g, path("network", network), path("subnet", subnet))


@race("POST /network/v2.0/subnets")
async def create_subnet(g: Ground) -> Duel:
    network = await a(g, "network")
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.2.0.0/24"}
    # 400: as upstream, a range that overlaps another is an invalid one.
    return creation(g, "subnet", body, path("network", network), winners=(1,), refusals=(400,))


@race("PUT /network/v2.0/subnets/{subnet_id}")
async def change_subnet(g: Ground) -> Duel:
    _, subnet = await a_network(g)
    return change(g, "subnet", subnet, {"name": "one"}, {"dns_nameservers": ["192.0.2.1"]})


@race("DELETE /network/v2.0/subnets/{subnet_id}")
async def delete_subnet(g: Ground) -> Duel:
    network, subnet = await a_network(g)
    return removal(g, path("subnet", subnet), path("network", network))


# ---- ports -----------------------------------------------------------------------------------


@race("POST /network/v2.0/ports")
async def create_port(g: Ground) -> Duel:
    network, _ = await a_network(g)
    body = {"network_id": network["id"], "mac_address": f"fa:16:3e:00:{next(numbers) % 256:02x}:01"}
    return creation(g, "port", body, path("network", network), winners=(1,))


@race("PUT /network/v2.0/ports/{port_id}")
async def change_port(g: Ground) -> Duel:
    network, _ = await a_network(g)
    port = await a(g, "port", network_id=network["id"])
    return change(g, "port", port, {"name": "one"}, {"description": "two", "security_groups": []})


@race("DELETE /network/v2.0/ports/{port_id}")
async def delete_port(g: Ground) -> Duel:
    network, _ = await a_network(g)
    port = await a(g, "port", network_id=network["id"])
    return removal(g, path("port", port), path("network", network))


# ---- security groups -------------------------------------------------------------------------


@race("POST /network/v2.0/security-groups")
async def create_group(g: Ground) -> Duel:
    return creation(
        g, "security_group", {"name": name()}, path("security_group", await a(g, "security_group", name=name()))
    )


@race("PUT /network/v2.0/security-groups/{security_group_id}")
async def change_group(g: Ground) -> Duel:
    group = await a(g, "security_group", name=name())
    return change(g, "security_group", group, {"name": "one"}, {"description": "two"})


@race("DELETE /network/v2.0/security-groups/{security_group_id}")
async def delete_group(g: Ground) -> Duel:
    return removal(g, path("security_group", await a(g, "security_group", name=name())))


def rule(group: dict[str, Any]) -> dict[str, Any]:
    return {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 22,
            "port_range_max": 22}


@race("POST /network/v2.0/security-group-rules")
async def create_rule(g: Ground) -> Duel:
    group = await a(g, "security_group", name=name())
    return creation(g, "security_group_rule", rule(group), path("security_group", group), winners=(1,))


@race("DELETE /network/v2.0/security-group-rules/{rule_id}")
async def delete_rule(g: Ground) -> Duel:
    group = await a(g, "security_group", name=name())
    made = await a(g, "security_group_rule", **rule(group))
    return removal(g, path("security_group_rule", made), path("security_group", group))


# ---- routers ---------------------------------------------------------------------------------


@race("POST /network/v2.0/routers")
async def create_router(g: Ground) -> Duel:
    outside = await g.make(f"{N}/networks", "network", name=name(), **{"router:external": True})
    subnet = {"network_id": outside["id"], "ip_version": 4, "cidr": "198.18.0.0/24"}
    await g.make(f"{N}/subnets", "subnet", **subnet)
    body = {"name": name(), "external_gateway_info": {"network_id": outside["id"]}}
    one = Call(g.user, "POST", f"{N}/routers", {"router": body})
    return Duel(one, gone=Call(g.admin, "DELETE", path("network", outside)), winners=(2,))


@race("PUT /network/v2.0/routers/{router_id}")
async def change_router(g: Ground) -> Duel:
    outside = {"external_gateway_info": {"network_id": g.external_id}}
    made = await a_router(g)
    at = path("router", made)
    return Duel(
        Call(g.user, "PUT", at, {"router": {"name": "one"} | outside}),
        Call(g.user, "PUT", at, {"router": {"description": "two"} | outside}), winners=(2,),
        gone=Call(g.user, "DELETE", at), keeps=(g.user, at, {"router": {"name": "one", "description": "two"}}),
    )


@race("DELETE /network/v2.0/routers/{router_id}")
async def delete_router(g: Ground) -> Duel:
    router = await a_router(g, external_gateway_info={"network_id": g.external_id})
    network, subnet = await a_network(g)
    # What may come between is a leg: it must not outlive the router.
    add = Call(g.user, "PUT", path("router", router) + "/add_router_interface", {"subnet_id": subnet["id"]})
    return Duel(Call(g.user, "DELETE", path("router", router)), gone=add, winners=(1,))


async def a_routed(g: Ground) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    network, subnet = await a_network(g, f"10.3.{next(numbers) % 256}.0/24")
    router = await a_router(g)
    await g.user.put(path("router", router) + "/add_router_interface", {"subnet_id": subnet["id"]}, status=200)
    return router, network, subnet


def route(subnet: dict[str, Any], n: int) -> dict[str, Any]:
    hop = subnet["cidr"].replace(".0/24", ".9")
    return {"destination": f"10.9.{n}.0/24", "nexthop": hop}


@race("PUT /network/v2.0/routers/{router_id}/add_extraroutes")
async def add_routes(g: Ground) -> Duel:
    router, _, subnet = await a_routed(g)
    at = path("router", router)
    one, two = (
        Call(g.user, "PUT", at + "/add_extraroutes", {"router": {"routes": [route(subnet, n)]}}) for n in (1, 2)
    )
    gone = Call(g.user, "PUT", at + "/remove_router_interface", {"subnet_id": subnet["id"]})
    routes = [route(subnet, 1), route(subnet, 2)]
    return Duel(one, two, gone, (2,), (g.user, at, {"router": {"routes": routes}}), refusals=(400,))


@race("PUT /network/v2.0/routers/{router_id}/remove_extraroutes")
async def remove_routes(g: Ground) -> Duel:
    router, _, subnet = await a_routed(g)
    at, body = path("router", router), {"router": {"routes": [route(subnet, 1)]}}
    await g.user.put(at + "/add_extraroutes", body, status=200)
    gone = Call(g.user, "PUT", at + "/remove_router_interface", {"subnet_id": subnet["id"]})
    return Duel(Call(g.user, "PUT", at + "/remove_extraroutes", body), gone=gone)


@race("PUT /network/v2.0/routers/{router_id}/add_router_interface")
async def add_leg(g: Ground) -> Duel:
    network, subnet = await a_network(g)
    router = await a_router(g)
    one = Call(g.user, "PUT", path("router", router) + "/add_router_interface", {"subnet_id": subnet["id"]})
    # 400: as upstream, a router that has a leg there already.
    return Duel(one, gone=Call(g.user, "DELETE", path("network", network)), winners=(1,), refusals=(400,))


@race("PUT /network/v2.0/routers/{router_id}/remove_router_interface")
async def remove_leg(g: Ground) -> Duel:
    router, _, subnet = await a_routed(g)
    one = Call(g.user, "PUT", path("router", router) + "/remove_router_interface", {"subnet_id": subnet["id"]})
    return Duel(one, gone=Call(g.user, "DELETE", path("router", router)), winners=(1,))


# ---- floating IPs ----------------------------------------------------------------------------


async def a_reachable_port(g: Ground) -> dict[str, Any]:
    _, network, subnet = await a_routed_out(g)
    return await a(g, "port", network_id=network["id"])


async def a_routed_out(g: Ground) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    router, network, subnet = await a_routed(g)
    body = {"router": {"external_gateway_info": {"network_id": g.external_id}}}
    await g.user.put(path("router", router), body, status=200)
    return router, network, subnet


@race("POST /network/v2.0/floatingips")
async def create_floating(g: Ground) -> Duel:
    port = await a_reachable_port(g)
    body = {"floating_network_id": g.external_id, "port_id": port["id"]}
    return creation(g, "floatingip", body, path("port", port), winners=(1,), refusals=(400,))


@race("PUT /network/v2.0/floatingips/{floatingip_id}")
async def associate(g: Ground) -> Duel:
    port = await a_reachable_port(g)
    one, two = [await a(g, "floatingip", floating_network_id=g.external_id) for _ in range(2)]
    body = {"floatingip": {"port_id": port["id"]}}
    return Duel(
        Call(g.user, "PUT", path("floatingip", one), body), Call(g.user, "PUT", path("floatingip", two), body),
        gone=Call(g.user, "DELETE", path("port", port)), winners=(1,), refusals=(400,),
    )


@race("DELETE /network/v2.0/floatingips/{floatingip_id}")
async def delete_floating(g: Ground) -> Duel:
    port = await a_reachable_port(g)
    made = await a(g, "floatingip", floating_network_id=g.external_id, port_id=port["id"])
    return removal(g, path("floatingip", made), path("port", port))


# ---- tags ------------------------------------------------------------------------------------


async def tagged(g: Ground, kind: str) -> dict[str, Any]:
    match kind:
        case "subnet":
            return (await a_network(g))[1]
        case "port":
            return await a(g, "port", network_id=(await a(g, "network"))["id"])
        case "floatingip":
            return await a(g, "floatingip", floating_network_id=g.external_id)
        case "security_group":
            return await a(g, "security_group", name=name())
        case _:
            return await a(g, kind, name=name())


def tags_of(kind: str, plural: str) -> None:
    base = f"{N}/{plural}/{{{kind}_id}}/tags"

    def duel(g: Ground, made: dict[str, Any], method: str, tail: str, *bodies: Any, **more: Any) -> Duel:
        at = f"{N}/{plural}/{made['id']}/tags"
        one, two = (Call(g.user, method, at + tail.format(n), body) for n, body in zip("12", bodies, strict=True))
        gone = Call(g.user, "DELETE", path(kind, made))
        return Duel(one, two, gone, **{"winners": (2,), **more})

    def both(g: Ground, made: dict[str, Any], *tags: str) -> Any:
        return (g.user, f"{N}/{plural}/{made['id']}/tags", {"tags": list(tags)})

    @race(f"POST {base}")
    async def add(g: Ground) -> Duel:
        made = await tagged(g, kind)
        return duel(g, made, "POST", "", {"tags": ["a", "b"]}, {"tags": ["b", "c"]}, keeps=both(g, made, *"abc"))

    @race(f"PUT {base}")
    async def replace(g: Ground) -> Duel:
        return duel(g, await tagged(g, kind), "PUT", "", {"tags": ["a", "b"]}, {"tags": ["b", "c"]})

    @race(f"DELETE {base}")
    async def clear(g: Ground) -> Duel:
        return duel(g, await tagged(g, kind), "DELETE", "", None, None)

    @race(f"PUT {base}/{{tag}}")
    async def put(g: Ground) -> Duel:
        made = await tagged(g, kind)
        return duel(g, made, "PUT", "/{}", None, None, keeps=both(g, made, "1", "2"))

    @race(f"DELETE {base}/{{tag}}")
    async def drop(g: Ground) -> Duel:
        made = await tagged(g, kind)
        await g.user.put(f"{N}/{plural}/{made['id']}/tags", {"tags": ["1", "2", "3"]}, status=200)
        return duel(g, made, "DELETE", "/1", None, None, winners=(1,))


for _kind, _plural in (
    ("network", "networks"), ("subnet", "subnets"), ("port", "ports"), ("router", "routers"),
    ("floatingip", "floatingips"), ("security_group", "security-groups"), ("security_group", "security_groups"),
):
    tags_of(_kind, _plural)


# ---- quotas ----------------------------------------------------------------------------------


@race("PUT /network/v2.0/quotas/{project_id}")
async def set_quota(g: Ground) -> Duel:
    at = f"{N}/quotas/{(await g.cloud.project()).project_id}"
    one, two = (Call(g.admin, "PUT", at, {"quota": {kind: 7}}) for kind in ("network", "port"))
    return Duel(
        one, two, Call(g.admin, "DELETE", at), winners=(2,), keeps=(g.admin, at, {"quota": {"network": 7, "port": 7}})
    )


@race("DELETE /network/v2.0/quotas/{project_id}")
async def clear_quota(g: Ground) -> Duel:
    at = f"{N}/quotas/{(await g.cloud.project()).project_id}"
    await g.admin.put(at, {"quota": {"network": 7}}, status=200)
    return Duel(Call(g.admin, "DELETE", at), gone=Call(g.admin, "PUT", at, {"quota": {"network": 8}}), winners=(1, 2))
