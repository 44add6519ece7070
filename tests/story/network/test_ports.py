# SPDX-License-Identifier: Apache-2.0
"""NEU-01, NEU-09: subnets and ports: addresses, what may be asked, what poses as something else."""

from __future__ import annotations

import asyncio

import pytest

from tests.story.network.scene import Scene, kind


async def test_a_subnet_is_filled_in(alice: Scene) -> None:
    network = (await alice.make("network"))["id"]
    made = await alice.make("subnet", network_id=network, ip_version=4, cidr="10.2.3.4/24")
    assert made["cidr"] == "10.2.3.0/24" and made["gateway_ip"] == "10.2.3.1"
    assert made["allocation_pools"] == [{"start": "10.2.3.2", "end": "10.2.3.254"}] and made["enable_dhcp"]
    assert (await alice.get("network", network))["subnets"] == [made["id"]]
    dhcp = await alice.list("ports", f"network_id={network}")
    assert [(each["device_owner"], each["fixed_ips"][0]["ip_address"]) for each in dhcp] == [
        ("network:dhcp", "10.2.3.2")
    ]
    await alice.delete("port", dhcp[0]["id"], 409)
    await alice.delete("subnet", made["id"])
    assert await alice.list("ports", f"network_id={network}") == []


@pytest.mark.parametrize(("more", "status", "expected"), [
    ({}, 400, "BadRequest"),
    ({"cidr": "10.0.0.0/33"}, 400, "HTTPBadRequest"),
    ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
    ({"cidr": "10.1.0.128/25"}, 400, "InvalidInput"),
    ({"cidr": "10.5.0.0/24", "gateway_ip": "10.5.0.255"}, 400, "InvalidInput"),
    ({"cidr": "10.5.0.0/24", "gateway_ip": "x"}, 400, "HTTPBadRequest"),
    ({"cidr": "10.5.0.0/24", "ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
    ({"cidr": "10.5.0.0/24", "allocation_pools": [{"start": "10.6.0.1", "end": "10.6.0.9"}]}, 400,
     "OutOfBoundsAllocationPool"),
    ({"cidr": "10.5.0.0/24", "allocation_pools": [{"start": "10.5.0.9", "end": "10.5.0.2"}]}, 400,
     "InvalidAllocationPool"),
    ({"cidr": "10.5.0.0/24", "allocation_pools": [{"start": "10.5.0.1", "end": "10.5.0.9"}]}, 409,
     "GatewayConflictWithAllocationPools"),
    ({"cidr": "10.5.0.0/24", "dns_nameservers": ["x"]}, 400, "HTTPBadRequest"),
    ({"subnetpool_id": "nope"}, 404, "SubnetPoolNotFound"),
    ({"cidr": "10.5.0.0/24", "host_routes": [{"destination": "10.0.0.0/8"}]}, 400, "HTTPBadRequest"),
])
async def test_subnets_that_cannot_be(alice: Scene, more, status, expected) -> None:
    network, _ = await alice.network("10.1.0.0/24")
    assert kind(await alice.make("subnet", status, network_id=network, ip_version=4, **more)) == expected
    assert len((await alice.get("network", network))["subnets"]) == 1


async def test_pools_gateway_and_dhcp_change(alice: Scene) -> None:
    network, subnet = await alice.network("10.1.0.0/24")
    pools = [{"start": "10.1.0.100", "end": "10.1.0.101"}]
    await alice.put("subnet", subnet, allocation_pools=pools)
    given = [(await alice.make("port", network_id=network))["fixed_ips"][0]["ip_address"] for _ in range(2)]
    assert given == ["10.1.0.100", "10.1.0.101"]
    assert kind(await alice.make("port", 409, network_id=network)) == "IpAddressGenerationFailure"
    await alice.put("subnet", subnet, 409, gateway_ip="10.1.0.100")
    changed = await alice.put("subnet", subnet, gateway_ip=None, enable_dhcp=False)
    assert changed["gateway_ip"] is None
    assert await alice.list("ports", f"network_id={network}&device_owner=network:dhcp") == []


async def test_addresses_rest_before_they_are_given_again(alice: Scene) -> None:
    network, _ = await alice.network("10.1.0.0/29")  # 2 for DHCP, 3 to 6 for ports
    ports = [await alice.make("port", network_id=network) for _ in range(3)]
    assert [each["fixed_ips"][0]["ip_address"][-1] for each in ports] == ["3", "4", "5"]
    await alice.delete("port", ports[1]["id"])
    await alice.delete("port", ports[0]["id"])
    given = [(await alice.make("port", network_id=network))["fixed_ips"][0]["ip_address"][-1] for _ in range(3)]
    assert given == ["6", "4", "3"]
    await alice.make("port", 409, network_id=network)


async def test_a_taken_address_ahead_is_stepped_over(alice: Scene) -> None:
    network, subnet = await alice.network("10.1.0.0/24")
    for last in (3, 4, 6):
        await alice.make("port", network_id=network, fixed_ips=[{"ip_address": f"10.1.0.{last}"}])
    given = [(await alice.make("port", network_id=network))["fixed_ips"][0]["ip_address"] for _ in range(2)]
    assert given == ["10.1.0.5", "10.1.0.7"]
    answer = await alice.make("port", 409, network_id=network, fixed_ips=[{"ip_address": "10.1.0.6"}])
    assert kind(answer) == "IpAddressInUse"
    asked = [{"subnet_id": subnet, "ip_address": "10.1.0.200"}]
    assert (await alice.make("port", network_id=network, fixed_ips=asked))["fixed_ips"] == asked


async def test_two_at_once_never_get_one_address(alice: Scene) -> None:
    network, _ = await alice.network("10.1.0.0/24")
    made = await asyncio.gather(*[alice.make("port", network_id=network) for _ in range(30)])
    assert len({each["fixed_ips"][0]["ip_address"] for each in made}) == 30
    asked = [{"ip_address": "10.1.0.250"}]
    both = await asyncio.gather(*[
        alice.call("POST", "ports", {"port": {"network_id": network, "fixed_ips": asked}}) for _ in range(2)
    ])
    assert sorted(each.status for each in both) == [201, 409]


@pytest.mark.parametrize(("more", "status", "expected"), [
    ({"fixed_ips": [{"ip_address": "10.9.9.9"}]}, 400, "InvalidIpForNetwork"),
    ({"fixed_ips": [{"ip_address": "10.1.0.0"}]}, 400, "InvalidIpForNetwork"),
    ({"fixed_ips": [{"subnet_id": "nope"}]}, 400, "InvalidInput"),
    ({"fixed_ips": [{}]}, 400, "InvalidInput"),
    ({"mac_address": "zz"}, 400, "HTTPBadRequest"),
    ({"mac_address": "01:00:00:00:00:01"}, 400, "HTTPBadRequest"),
    ({"security_groups": ["nope"]}, 404, "SecurityGroupNotFound"),
    ({"port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.1.0.0/24"}]}, 409,
     "AddressPairAndPortSecurityRequired"),
    ({"binding:host_id": "h"}, 403, "PolicyNotAuthorized"),
    ({"binding:profile": {"a": 1}}, 403, "PolicyNotAuthorized"),
    ({"binding:vnic_type": "direct"}, 400, "HTTPBadRequest"),
    ({"fixed_ips": "x"}, 400, "HTTPBadRequest"),
])
async def test_ports_that_cannot_be(alice: Scene, more, status, expected) -> None:
    network, _ = await alice.network("10.1.0.0/24")
    assert kind(await alice.make("port", status, network_id=network, **more)) == expected
    assert len(await alice.list("ports", f"network_id={network}")) == 1


async def test_a_port_changes(alice: Scene) -> None:
    network, subnet = await alice.network("10.1.0.0/24")
    port = await alice.make("port", network_id=network, extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"}])
    group = await alice.group()
    changed = await alice.put(
        "port", port["id"], name="x", security_groups=[group],
        fixed_ips=[{"subnet_id": subnet}, {"ip_address": "10.1.0.77"}],
        allowed_address_pairs=[{"ip_address": "10.1.0.99"}],
        extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": None}, {"opt_name": "tftp-server", "opt_value": "1.1.1.1"}],
    )
    assert changed["security_groups"] == [group]
    assert [each["ip_address"] for each in changed["fixed_ips"]] == [
        port["fixed_ips"][0]["ip_address"], "10.1.0.77"
    ]
    assert [each["opt_name"] for each in changed["extra_dhcp_opts"]] == ["tftp-server"]
    found = await alice.list("ports", "fixed_ips=ip_address%3D10.1.0.77")
    assert [each["id"] for each in found] == [port["id"]]
    await alice.put("port", port["id"], 409, port_security_enabled=False)
    bare = await alice.put("port", port["id"], port_security_enabled=False, security_groups=[],
                           allowed_address_pairs=[], fixed_ips=[])
    assert bare["fixed_ips"] == [] and bare["security_groups"] == [] and not bare["port_security_enabled"]


async def test_ipv6_addresses_follow_the_mode(alice: Scene) -> None:
    network = (await alice.make("network"))["id"]
    slaac = await alice.make("subnet", network_id=network, ip_version=6, cidr="fd00:1::/64", ipv6_ra_mode="slaac",
                             ipv6_address_mode="slaac")
    port = await alice.make("port", network_id=network, mac_address="fa:16:3e:01:02:03")
    assert port["fixed_ips"] == [{"subnet_id": slaac["id"], "ip_address": "fd00:1::f816:3eff:fe01:203"}]
    answer = await alice.make("port", 400, network_id=network, fixed_ips=[{"ip_address": "fd00:1::9"}])
    assert kind(answer) == "AllocationOnAutoAddressSubnet"
    await alice.make("subnet", network_id=network, ip_version=6, cidr="fd00:2::/64",
                     ipv6_ra_mode="dhcpv6-stateful", ipv6_address_mode="dhcpv6-stateful")
    both = await alice.make("port", network_id=network)
    assert [each["ip_address"].partition("::")[0] for each in both["fixed_ips"]] == ["fd00:2", "fd00:1"]
    await alice.make("subnet", 400, network_id=network, ip_version=6, cidr="fd00:3::/65", ipv6_ra_mode="slaac",
                     ipv6_address_mode="slaac")


@pytest.mark.parametrize("owner", [
    "network:dhcp", "network:router_interface", "network:ha_router_replicated_interface",
])
async def test_cve_2015_5240_nobody_poses_as_the_network_on_anothers(admin: Scene, alice: Scene, owner) -> None:
    """Also CVE-2026-50266: neither when the port is made nor afterwards."""
    network, _ = await admin.network(shared=True)
    assert kind(await alice.make("port", 403, network_id=network, device_owner=owner)) == "PolicyNotAuthorized"
    port = (await alice.make("port", network_id=network))["id"]
    assert kind(await alice.put("port", port, 403, device_owner=owner)) == "PolicyNotAuthorized"
    assert kind(await alice.put("port", port, 403, port_security_enabled=False)) == "PolicyNotAuthorized"
    pairs = [{"ip_address": "10.1.0.1"}]
    assert kind(await alice.put("port", port, 403, allowed_address_pairs=pairs)) == "PolicyNotAuthorized"
    assert kind(await alice.put("port", port, 403, mac_address="fa:16:3e:00:00:01")) == "PolicyNotAuthorized"
    asked = [{"ip_address": "10.1.0.1"}]
    assert kind(await alice.put("port", port, 403, fixed_ips=asked)) == "PolicyNotAuthorized"
    await alice.delete("port", port)
    await admin.delete("network", network)


async def test_nobody_hangs_a_leg_on_anothers_router(alice: Scene, mallory: Scene) -> None:
    router = (await alice.make("router"))["id"]
    network, _ = await mallory.network()
    body = {"network_id": network, "device_owner": "network:router_interface", "device_id": router}
    assert kind(await mallory.make("port", 409, **body)) == "DeviceIDNotOwnedByTenant"


async def test_nobody_makes_a_port_that_the_cloud_takes_for_its_own(alice: Scene) -> None:
    """Such ports take no quota and go with their network: a user's would leave its quota behind."""
    network, subnet = await alice.network()
    plain = (await alice.make("port", network_id=network))["id"]
    for device in ("dhcp-", "dhcp-mine", f"dhcp-{subnet}"):
        ours = {"device_owner": "network:dhcp", "device_id": device}
        assert kind(await alice.make("port", 409, network_id=network, **ours)) == "DeviceIDNotOwnedByTenant"
        assert kind(await alice.put("port", plain, 409, **ours)) == "DeviceIDNotOwnedByTenant"
    await alice.put("port", plain, device_owner="network:dhcp", device_id="a server of mine")
    assert kind(await alice.put("port", plain, 409, device_id="dhcp-mine")) == "DeviceIDNotOwnedByTenant"
    await alice.delete("port", plain)
    await alice.delete("network", network)


async def test_a_network_with_ports_stays(alice: Scene) -> None:
    network, subnet = await alice.network()
    port = (await alice.make("port", network_id=network))["id"]
    assert kind(await alice.delete("network", network, 409)) == "NetworkInUse"
    assert kind(await alice.delete("subnet", subnet, 409)) == "SubnetInUse"
    await alice.delete("port", port)
    await alice.delete("network", network)
    await alice.get("subnet", subnet, 404)
    used = (await alice.call("GET", f"quotas/{alice.project_id}/details", status=200)).json["quota"]
    assert [used[each]["used"] for each in ("network", "subnet", "port")] == [0, 0, 0]
