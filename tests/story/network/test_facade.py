# SPDX-License-Identifier: Apache-2.0
"""What compute asks of network: which networks a server gets, its ports, and how they look."""

from __future__ import annotations

import pytest

from skyhold.core import errors
from skyhold.network import facade
from skyhold.network.facade import PortAsk
from tests.story.network.scene import Scene


async def make(who: Scene, server: str, asks: list[PortAsk], groups: list[str] | None = None):
    """The ports as compute sees them, in the order asked for."""
    ctx = await who.context()
    ids = await ctx.write(
        facade.create_ports, asks, server_id=server, project_id=who.project_id, security_groups=groups or [],
        hostname=server,
    )
    views = {each.id: each for each in (await ctx.read(facade.views, [server]))[server]}
    return [views[id] for id in ids]


async def test_a_server_gets_the_only_network(alice: Scene) -> None:
    ctx = await alice.context()
    assert await ctx.read(facade.plan, None) == []
    assert await ctx.read(facade.plan, "none") == []
    network, _ = await alice.network()
    assert await ctx.read(facade.plan, None) == [PortAsk(network_id=network)]
    assert await ctx.read(facade.plan, "auto") == [PortAsk(network_id=network)]
    await alice.network("10.2.0.0/24")
    with pytest.raises(errors.Conflict, match="Multiple possible networks found, use a Network ID"):
        await ctx.read(facade.plan, None)


async def test_what_is_not_ones_own_is_refused(alice: Scene, mallory: Scene, admin: Scene) -> None:
    network, _ = await alice.network()
    port = await alice.make("port", network_id=network)
    public, _ = await admin.external()
    ctx = await mallory.context()
    with pytest.raises(errors.NotFound):
        await ctx.read(facade.plan, [PortAsk(network_id=network)])
    with pytest.raises(errors.NotFound):
        await ctx.read(facade.plan, [PortAsk(port_id=port["id"])])
    with pytest.raises(errors.Forbidden, match="external network"):
        await ctx.read(facade.plan, [PortAsk(network_id=public)])
    with pytest.raises(errors.Invalid):
        await (await alice.context()).read(facade.plan, [PortAsk(network_id=network, fixed_ip="10.9.9.9")])
    with pytest.raises(errors.NotFound, match="Security group nope"):
        await make(alice, "server-a", [PortAsk(network_id=network)], ["nope"])


async def test_ports_are_made_and_taken_and_let_go(alice: Scene) -> None:
    network, _ = await alice.network()
    own = await alice.make("port", network_id=network, name="mine")
    asks = [PortAsk(network_id=network, fixed_ip="10.1.0.44", tag="nic1"), PortAsk(port_id=own["id"])]
    ctx = await alice.context()
    views = await make(alice, "server-b", await ctx.read(facade.plan, asks))
    assert [(each.made_by_compute, each.tag) for each in views] == [(True, "nic1"), (False, None)]
    assert views[0].fixed_ips[0].ip == "10.1.0.44" and views[1].id == own["id"]
    assert views[0].security_group_names == ["default"] and views[0].network_name.startswith("net-")
    assert (await alice.get("port", own["id"]))["device_id"] == "server-b"
    with pytest.raises(errors.Conflict, match="still in use"):
        await ctx.read(facade.plan, [PortAsk(port_id=own["id"])])
    with pytest.raises(errors.NotFound):
        await ctx.write(facade.release_port, "server-c", own["id"])
    document = facade.network_data(views)
    assert [each["vif_id"] for each in document["links"]] == [each.id for each in views]
    assert {each["type"] for each in document["networks"]} == {"ipv4_dhcp"}
    await ctx.write(facade.release, "server-b")
    await alice.get("port", views[0].id, 404)
    kept = await alice.get("port", own["id"])
    assert (kept["device_id"], kept["device_owner"], kept["name"]) == ("", "", "mine")


async def test_a_create_that_fails_leaves_nothing(alice: Scene) -> None:
    network, _ = await alice.network("10.1.0.0/30")  # one address, which DHCP has
    with pytest.raises(errors.Conflict):
        await make(alice, "server-d", [PortAsk(network_id=network)])
    details = (await alice.call("GET", f"quotas/{alice.project_id}/details", status=200)).json["quota"]
    assert details["port"]["used"] == 0


async def test_views_ask_four_queries_however_many_servers(alice: Scene) -> None:
    network, _ = await alice.network()
    for i in range(6):
        await make(alice, f"server-e{i}", [PortAsk(network_id=network)])

    def counted(tx, ctx, servers):
        found = facade.views(tx, ctx, servers)
        return len(found), tx.queries

    ctx = await alice.context()
    assert await ctx.read(counted, ["server-e0"]) == (1, 4)
    assert await ctx.read(counted, [f"server-e{i}" for i in range(6)]) == (6, 4)
    assert await ctx.read(counted, ["nobody"]) == (0, 1)


async def test_wiring_is_complete(alice: Scene) -> None:
    network, subnet = await alice.network()
    views = await make(alice, "server-f", [PortAsk(network_id=network)])
    ctx = await alice.context()
    await ctx.write(facade.bind, "server-f", "host-x")
    change = await ctx.read(facade.wiring, [views[0].id])
    assert {(type(each).__name__, each.id) for each in change.upserts} == {
        ("Network", network), ("Subnet", subnet), ("Port", views[0].id),
        ("SecurityGroup", views[0].security_group_ids[0]),
    }
