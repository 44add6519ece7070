# SPDX-License-Identifier: Apache-2.0
"""NEU-03, NEU-04: routers, gateways and floating IPs."""

from __future__ import annotations

import pytest_asyncio

from tests.story.network.scene import Scene, kind


@pytest_asyncio.fixture(loop_scope="session")
async def public(admin: Scene) -> str:
    return (await admin.external())[0]


async def leg(who: Scene, router: str, status: int = 200, verb: str = "add", **what: str):
    return (await who.call("PUT", f"routers/{router}/{verb}_router_interface", what, status)).json


async def routed(who: Scene, public: str, cidr: str = "10.1.0.0/24") -> tuple[str, str, str]:
    """(router, network, subnet): a network that reaches the outside."""
    network, subnet = await who.network(cidr)
    router = (await who.make("router", external_gateway_info={"network_id": public}))["id"]
    await leg(who, router, subnet_id=subnet)
    return router, network, subnet


async def test_a_router_joins_subnets_and_the_world(alice: Scene, public: str) -> None:
    network, subnet = await alice.network()
    router = await alice.make("router", name="r")
    assert router["external_gateway_info"] is None and router["status"] == "ACTIVE"
    added = await leg(alice, router["id"], subnet_id=subnet)
    assert added["subnet_id"] == subnet and added["subnet_ids"] == [subnet] and added["id"] == router["id"]
    port = await alice.get("port", added["port_id"])
    assert port["fixed_ips"] == [{"subnet_id": subnet, "ip_address": "10.1.0.1"}]
    assert port["device_owner"] == "network:router_interface" and port["device_id"] == router["id"]
    assert kind(await leg(alice, router["id"], 400, subnet_id=subnet)) == "BadRequest"
    assert kind(await alice.delete("port", port["id"], 409)) == "ServicePortInUse"
    assert kind(await alice.delete("router", router["id"], 409)) == "RouterInUse"
    changed = await alice.put("router", router["id"], external_gateway_info={"network_id": public})
    gateway = changed["external_gateway_info"]
    assert gateway["network_id"] == public and gateway["enable_snat"] and len(gateway["external_fixed_ips"]) == 1
    await leg(alice, router["id"], verb="remove", subnet_id=subnet)
    await alice.get("port", port["id"], 404)
    assert (await alice.put("router", router["id"], external_gateway_info=None))["external_gateway_info"] is None
    await alice.delete("router", router["id"])
    await alice.delete("network", network)


async def test_a_port_becomes_a_leg(alice: Scene) -> None:
    network, _ = await alice.network()
    router = (await alice.make("router"))["id"]
    port = await alice.make("port", network_id=network)
    assert (await leg(alice, router, port_id=port["id"]))["port_id"] == port["id"]
    assert kind(await leg(alice, router, 404, "remove", port_id="nope")) == "RouterInterfaceNotFound"
    assert kind(await leg(alice, router, 400)) == "BadRequest"
    await leg(alice, router, verb="remove", port_id=port["id"])
    await alice.get("port", port["id"], 404)


async def test_overlapping_subnets_cannot_share_a_router(alice: Scene) -> None:
    router = (await alice.make("router"))["id"]
    _, one = await alice.network("10.1.0.0/24")
    _, two = await alice.network("10.1.0.0/16")
    await leg(alice, router, subnet_id=one)
    assert kind(await leg(alice, router, 400, subnet_id=two)) == "BadRequest"


async def test_a_router_is_nobody_elses(alice: Scene, mallory: Scene, public: str) -> None:
    router, network, subnet = await routed(alice, public)
    await mallory.get("router", router, 404)
    await mallory.put("router", router, 404, name="mine")
    _, own = await mallory.network()
    await leg(mallory, router, 404, subnet_id=own)
    theirs = (await mallory.make("router"))["id"]
    assert kind(await leg(mallory, theirs, 404, subnet_id=subnet)) == "SubnetNotFound"
    hidden = (await alice.make("network"))["id"]
    await mallory.put("router", theirs, 404, external_gateway_info={"network_id": hidden})
    await alice.put("router", router, 400, external_gateway_info={"network_id": network})
    snat = {"network_id": public, "enable_snat": False}
    assert kind(await alice.put("router", router, 403, external_gateway_info=snat)) == "PolicyNotAuthorized"


async def test_extra_routes(alice: Scene) -> None:
    _, subnet = await alice.network()
    router = (await alice.make("router"))["id"]
    route = {"destination": "192.168.0.0/16", "nexthop": "10.1.0.9"}
    assert kind(await alice.put("router", router, 400, routes=[route])) == "InvalidRoutes"
    await leg(alice, router, subnet_id=subnet)
    assert (await alice.put("router", router, routes=[route]))["routes"] == [route]
    other = {"destination": "172.16.0.0/16", "nexthop": "10.1.0.9"}
    both = await alice.call("PUT", f"routers/{router}/add_extraroutes", {"router": {"routes": [other]}}, 200)
    assert both.json["router"]["routes"] == [route, other]
    assert kind(await leg(alice, router, 409, "remove", subnet_id=subnet)) == "RouterInterfaceInUseByRoute"
    left = await alice.call("PUT", f"routers/{router}/remove_extraroutes", {"router": {"routes": [route]}}, 200)
    assert left.json["router"]["routes"] == [other]
    await alice.put("router", router, routes=[])


async def test_an_external_network_takes_unused_floating_ips_along(alice: Scene, admin: Scene) -> None:
    outside, _ = await admin.external()
    floating = await alice.make("floatingip", floating_network_id=outside)
    await admin.delete("network", outside)
    await alice.get("floatingip", floating["id"], 404)
    left = await alice.list("floatingips")
    assert floating["id"] not in [each["id"] for each in left]


async def test_an_external_network_stays_while_a_floating_ip_of_it_is_used(alice: Scene, admin: Scene) -> None:
    outside, _ = await admin.external()
    _, network, _ = await routed(alice, outside)
    port = await alice.make("port", network_id=network)
    unused = await alice.make("floatingip", floating_network_id=outside)
    used = await alice.make("floatingip", floating_network_id=outside, port_id=port["id"])
    assert kind(await admin.delete("network", outside, 409)) == "NetworkInUse"
    for floating in (unused, used):
        await alice.get("floatingip", floating["id"])


async def test_a_floating_ip_points_at_a_port(alice: Scene, public: str) -> None:
    router, network, subnet = await routed(alice, public)
    port = await alice.make("port", network_id=network)
    floating = await alice.make("floatingip", floating_network_id=public)
    assert floating["status"] == "DOWN" and floating["port_id"] is None and floating["fixed_ip_address"] is None
    changed = await alice.put("floatingip", floating["id"], port_id=port["id"])
    assert changed["router_id"] == router and changed["fixed_ip_address"] == port["fixed_ips"][0]["ip_address"]
    assert changed["port_details"]["mac_address"] == port["mac_address"]
    assert await alice.list("floatingips", f"port_id={port['id']}") == [changed]
    assert await alice.list("floatingips", f"floating_ip_address={floating['floating_ip_address']}") == [changed]
    again = await alice.make("floatingip", 409, floating_network_id=public, port_id=port["id"])
    assert kind(again) == "FloatingIPPortAlreadyAssociated"
    assert kind(await leg(alice, router, 409, "remove", subnet_id=subnet)) == "RouterInterfaceInUseByFloatingIP"
    answer = await alice.put("router", router, 409, external_gateway_info=None)
    assert kind(answer) == "RouterExternalGatewayInUseByFloatingIp"
    described = await alice.put("floatingip", floating["id"], description="mine")
    assert described["port_id"] == port["id"]
    free = await alice.put("floatingip", floating["id"], port_id=None)
    assert free["port_id"] is None and free["router_id"] is None
    await alice.put("floatingip", floating["id"], port_id=port["id"])
    await alice.delete("port", port["id"])
    assert (await alice.get("floatingip", floating["id"]))["port_id"] is None
    await alice.delete("floatingip", floating["id"])
    await alice.get("floatingip", floating["id"], 404)


async def test_floating_ips_that_cannot_be(alice: Scene, mallory: Scene, admin: Scene, public: str) -> None:
    network, _ = await alice.network()
    port = await alice.make("port", network_id=network)
    assert kind(await alice.make("floatingip", 400, floating_network_id=network)) == "BadRequest"
    assert kind(await alice.make("floatingip", 404, floating_network_id="nope")) == "NetworkNotFound"
    answer = await alice.make("floatingip", 404, floating_network_id=public, port_id=port["id"])
    assert kind(answer) == "ExternalGatewayForFloatingIPNotFound"
    own = await mallory.make("floatingip", floating_network_id=public)
    assert kind(await mallory.put("floatingip", own["id"], 404, port_id=port["id"])) == "PortNotFound"
    await alice.get("floatingip", own["id"], 404)
    await alice.put("floatingip", own["id"], 404, port_id=None)
    ask = {"floating_network_id": public, "floating_ip_address": own["floating_ip_address"]}
    assert kind(await alice.make("floatingip", 403, **ask)) == "PolicyNotAuthorized"
    assert kind(await admin.make("floatingip", 409, **ask)) == "IpAddressInUse"
    used = (await alice.call("GET", f"quotas/{alice.project_id}/details", status=200)).json["quota"]
    assert used["floatingip"]["used"] == 0
    assert kind(await alice.make("port", 403, network_id=public)) == "PolicyNotAuthorized"


async def test_a_floating_ip_of_several_addresses_must_be_told_which(alice: Scene, public: str) -> None:
    _, network, subnet = await routed(alice, public)
    port = await alice.make("port", network_id=network, fixed_ips=[{"subnet_id": subnet}, {"ip_address": "10.1.0.50"}])
    floating = await alice.make("floatingip", floating_network_id=public)
    assert kind(await alice.put("floatingip", floating["id"], 400, port_id=port["id"])) == "BadRequest"
    made = await alice.put("floatingip", floating["id"], port_id=port["id"], fixed_ip_address="10.1.0.50")
    assert made["fixed_ip_address"] == "10.1.0.50"
    await alice.put("port", port["id"], fixed_ips=[{"subnet_id": subnet}])
    assert (await alice.get("floatingip", floating["id"]))["port_id"] is None
