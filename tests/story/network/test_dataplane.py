# SPDX-License-Identifier: Apache-2.0
"""What hosts are told: everything they need, soon, nothing else, and again after any mishap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.identity.service import SERVICE as IDENTITY
from skyhold.network import facade
from skyhold.network.drivers.base import PortEvent
from skyhold.network.facade import PortAsk
from skyhold.network.loops import dataplane
from skyhold.network.service import SERVICE as NETWORK
from skyhold.network.tables import CHANGES
from tests.kit import patience
from tests.kit.cloud import Cloud, start_cloud
from tests.kit.databases import Servers, chosen
from tests.story.network.host import FakeHost, until
from tests.story.network.scene import Scene
from tests.story.network.test_routers import leg, routed


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=chosen())
async def cloud(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cloud]:
    """A cloud without other stories' routers, since those are on every routing host."""
    home, url = tmp_path_factory.mktemp("wired-cloud"), servers.fresh(request.param)
    made = await start_cloud(home, [IDENTITY, NETWORK], database=url)
    yield made
    await made.core.stop()


async def boot(who: Scene, host_id: str, server: str, network: str, groups: tuple[str, ...] = ()) -> str:
    """A server's port, as compute makes and binds it."""
    ctx = await who.context()
    ids = await ctx.write(
        facade.create_ports, [PortAsk(network_id=network)], server_id=server, project_id=who.project_id,
        security_groups=list(groups), hostname=server,
    )
    await ctx.write(facade.bind, server, host_id)
    return ids[0]


async def becomes(who: Scene, one: str, id: str, status: str) -> None:
    async def is_so() -> bool:
        return bool((await who.get(one, id))["status"] == status)

    await patience.until(is_so, f"{one} {id} to become {status}")


async def test_a_bound_port_is_wired_and_says_so(alice: Scene, host: FakeHost) -> None:
    network, subnet = await alice.network()
    port = await boot(alice, host.id, "server-1", network)
    await until(lambda: port in host.held("Port"), "the port")
    assert set(host.held("Network")) == {network} and set(host.held("Subnet")) == {subnet}
    wired = host.held("Port")[port]
    assert wired.server_id == "server-1" and wired.hostname == "server-1"
    assert set(host.held("SecurityGroup")) == set(wired.security_group_ids)
    await becomes(alice, "port", port, "ACTIVE")
    await host.report("port.changed", PortEvent(port_id=port, up=False))
    await becomes(alice, "port", port, "DOWN")
    await (await alice.context()).write(facade.release, "server-1")
    await until(lambda: not host.engine.objects, "everything to go")
    assert await alice.list("ports", f"network_id={network}&device_owner=compute:nova") == []


async def test_what_no_host_needs_is_not_sent(alice: Scene, host: FakeHost) -> None:
    network, _ = await alice.network()
    await alice.make("port", network_id=network)
    await alice.group()
    marker, _ = await alice.network("10.2.0.0/24")
    port = await boot(alice, host.id, "server-2", marker)
    await until(lambda: port in host.held("Port"), "the port")
    assert network not in {each.id for change in host.changes for each in change.upserts}
    await (await alice.context()).write(facade.release, "server-2")
    await until(lambda: not host.engine.objects, "everything to go")


async def test_a_rule_reaches_a_running_server(alice: Scene, host: FakeHost) -> None:
    network, _ = await alice.network()
    group = await alice.group()
    one = await boot(alice, host.id, "server-3", network, ("web",))
    two = await boot(alice, host.id, "server-4", network)
    await until(lambda: {one, two} <= set(host.held("Port")), "the ports")
    assert not host.engine.allows(two, one, "tcp", 22)
    rule = await alice.rule(group, protocol="tcp", port_range_min=22, port_range_max=22)
    await until(lambda: host.engine.allows(two, one, "tcp", 22), "the rule")
    await alice.delete("security_group_rule", rule["id"])
    await until(lambda: not host.engine.allows(two, one, "tcp", 22), "the rule to go")
    ctx = await alice.context()
    await ctx.write(facade.add_security_group, "server-3", "default")
    await until(lambda: host.engine.allows(two, one, "tcp", 22), "the group")
    await ctx.write(facade.remove_security_group, "server-3", "default")
    await until(lambda: not host.engine.allows(two, one, "tcp", 22), "the group to go")
    for server in ("server-3", "server-4"):
        await ctx.write(facade.release, server)
    await until(lambda: not host.engine.objects, "everything to go")


async def test_a_remote_group_follows_its_members(alice: Scene, host: FakeHost) -> None:
    network, _ = await alice.network()
    web, clients = await alice.group("web"), await alice.group("clients")
    await alice.rule(web, remote_group_id=clients, protocol="tcp", port_range_min=80, port_range_max=80)
    one = await boot(alice, host.id, "server-5", network, ("web",))
    two = await boot(alice, host.id, "server-6", network, ("clients",))
    await until(lambda: two in host.held("Port") and host.engine.allows(two, one, "tcp", 80), "the member")
    await alice.put("port", two, security_groups=[])
    await until(lambda: not host.engine.allows(two, one, "tcp", 80), "the member to leave")
    ctx = await alice.context()
    for server in ("server-5", "server-6"):
        await ctx.write(facade.release, server)
    await until(lambda: not host.engine.objects, "everything to go")


async def test_a_floating_ip_leads_in_and_stops_at_once(alice: Scene, admin: Scene, host: FakeHost) -> None:
    public, _ = await admin.external()
    router, network, subnet = await routed(alice, public)
    group = await alice.group()
    await alice.rule(group, protocol="icmp")
    port = await boot(alice, host.id, "server-7", network, ("web",))
    floating = await alice.make("floatingip", floating_network_id=public, port_id=port)
    address = floating["floating_ip_address"]
    await until(lambda: host.engine.allows("192.0.2.9", address), "the way in")
    assert {public, network} == set(host.held("Network"))
    await becomes(alice, "floatingip", floating["id"], "ACTIVE")
    await alice.put("floatingip", floating["id"], port_id=None)
    await until(lambda: not host.engine.allows("192.0.2.9", address), "the way to close")
    await (await alice.context()).write(facade.release, "server-7")
    await alice.delete("floatingip", floating["id"])
    await leg(alice, router, verb="remove", subnet_id=subnet)
    await alice.delete("router", router)
    await until(lambda: not host.engine.objects, "everything to go")


async def test_a_host_that_was_away_is_told_everything(alice: Scene, host: FakeHost) -> None:
    network, _ = await alice.network()
    port = await boot(alice, host.id, "server-8", network)
    await until(lambda: port in host.held("Port"), "the port")
    await host.leave()
    gone, _ = await alice.network("10.3.0.0/24")
    new = await boot(alice, host.id, "server-9", gone)
    await (await alice.context()).write(facade.release, "server-8")
    await host.connect()
    await until(lambda: set(host.held("Port")) == {new}, "the new state")
    assert set(host.held("Network")) == {gone}
    await (await alice.context()).write(facade.release, "server-9")
    await until(lambda: not host.engine.objects, "everything to go")


async def test_a_change_that_fails_is_made_good(alice: Scene, host: FakeHost) -> None:
    network, _ = await alice.network()
    host.engine.fail_next()
    port = await boot(alice, host.id, "server-10", network)
    await until(lambda: port in host.held("Port"), "the port after a failure")
    await (await alice.context()).write(facade.release, "server-10")
    await until(lambda: not host.engine.objects, "everything to go")


async def test_what_nobody_foresaw_of_one_host_keeps_no_other_from_being_served(
    alice: Scene, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, _ = await alice.network()
    other, honest, rounds = FakeHost(alice.cloud.core), dataplane.tell, 0
    await other.connect()

    async def tell(ctx: Context, to: dataplane.Host, verb: str, body: Any) -> Any:
        nonlocal rounds
        if to.id == other.id:
            rounds += 1
            raise ValueError("an answer nobody can read")
        return await honest(ctx, to, verb, body)

    with monkeypatch.context() as patch:
        patch.setattr(dataplane, "tell", tell)
        theirs = await boot(alice, other.id, "server-13", network)
        await until(lambda: rounds, "the other host's trouble")
        ports = [await boot(alice, host.id, f"server-14-{i}", network) for i in range(2)]
        await until(lambda: set(ports) <= set(host.held("Port")), "the ports of the host without trouble")
        gone = sa.select(sa.func.count()).select_from(CHANGES)
        ctx = await alice.context()
        await patience.until(lambda: ctx.read(lambda tx, _: not tx.scalar(gone)), "the changes to be forgotten")
    await until(lambda: theirs in other.held("Port"), "the other host to be made good")
    for server in ("server-13", "server-14-0", "server-14-1"):
        await ctx.write(facade.release, server)
    await until(lambda: not host.engine.objects and not other.engine.objects, "everything to go")
    await other.leave()


async def test_a_new_subnet_and_a_longer_lease_reach_the_host(alice: Scene, host: FakeHost) -> None:
    network, subnet = await alice.network()
    port = await boot(alice, host.id, "server-11", network)
    await until(lambda: port in host.held("Port"), "the port")
    await alice.put("subnet", subnet, dns_nameservers=["9.9.9.9"])
    await until(lambda: host.held("Subnet")[subnet].dns == ["9.9.9.9"], "the name server")
    second = await alice.make("subnet", network_id=network, ip_version=4, cidr="10.7.0.0/24")
    await until(lambda: second["id"] in host.held("Subnet"), "the second subnet")
    await alice.delete("subnet", second["id"])
    await until(lambda: second["id"] not in host.held("Subnet"), "the second subnet to go")
    seen = len(host.changes)
    await alice.put("port", port, name="only a name")
    await alice.put("network", network, mtu=1400)
    await until(lambda: host.held("Network")[network].mtu == 1400, "the MTU")
    sent = [type(each).__name__ for change in host.changes[seen:] for each in change.upserts]
    assert sent == ["Network"]
    await (await alice.context()).write(facade.release, "server-11")
    await until(lambda: not host.engine.objects, "everything to go")


async def test_a_port_wired_by_compute_and_gone_between_two_rounds_leaves_nothing(
    alice: Scene, host: FakeHost
) -> None:
    network, _ = await alice.network()
    ctx = await alice.context()

    def come_wire_and_go(tx, ctx):
        ids = facade.create_ports(
            tx, ctx, [PortAsk(network_id=network)], server_id="server-12", project_id=alice.project_id,
            security_groups=[], hostname="h",
        )
        facade.bind(tx, ctx, "server-12", host.id)
        change = facade.wiring(tx, ctx, [ids[0]])
        facade.release(tx, ctx, "server-12")
        return change

    change = await ctx.write(come_wire_and_go)
    await host.engine.apply(change)
    alice.cloud.core.loops.ring("network.dataplane")
    await until(lambda: not host.engine.objects, "what compute had wired to go")
