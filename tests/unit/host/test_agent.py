# SPDX-License-Identifier: Apache-2.0
"""The agent and the bus between it and the control plane, over a real socket.

What verbs do on a machine is in the drivers' own suites; here they are made up.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyhold.core import bus as wire
from skyhold.core.bus import Bus, Failed, Hello, HostUnreachable, StaleFence, Working
from skyhold.host import agent as agents
from skyhold.host.agent import Agent
from skyhold.host.fences import Fences
from skyhold.host.verbs import Verb
from tests.kit.patience import PATIENCE_S, until


class Wish(msgspec.Struct, frozen=True):
    guest_id: str = ""
    text: str = ""


class Errand(msgspec.Struct, frozen=True):
    """With a token to do it by, as an image is fetched or sent by one; what users name is theirs."""

    token: str | None = None
    image_id: str = ""
    inside: list[Errand] = []
    named: dict[str, str] = {}


class Done(msgspec.Struct, frozen=True):
    text: str = ""


class Refused(Exception):
    """What the toy driver can't."""


class Machine:
    """A driver that does what a test tells it, and remembers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.gate = asyncio.Event()
        self.cancelled: list[str] = []

    async def quick(self, wish: Wish) -> Done:
        self.done.append(wish.text)
        return Done(wish.text.upper())

    async def slow(self, wish: Wish) -> Done:
        self.begun.append(wish.text)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(wish.text)
            raise
        return await self.quick(wish)

    async def nothing(self, wish: Wish) -> None:
        self.done.append(wish.text)

    async def refuse(self, wish: Wish) -> None:
        raise Refused("no room")

    async def break_down(self, wish: Wish) -> None:
        raise KeyError("/srv/skyhold/oops")

    async def huge(self, wish: Wish) -> Done:
        return Done("x" * int(wish.text))


STRUCTS: dict[str, tuple[type, type]] = {
    f"toy.{name}": (Wish, Done)
    for name in ("quick", "slow", "apart", "nothing", "refuse", "break_down", "huge", "unknown")
}


def verbs(machine: Machine) -> dict[str, Verb]:
    acts: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "toy.quick": machine.quick,
        "toy.slow": machine.slow,
        "toy.apart": machine.quick,
        "toy.nothing": machine.nothing,
        "toy.refuse": machine.refuse,
        "toy.break_down": machine.break_down,
        "toy.huge": machine.huge,
    }
    return {name: Verb(Wish, Done, act, serial=name != "toy.apart", expected=(Refused,)) for name, act in acts.items()}


class Pair:
    """A control plane's bus and one agent."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bus = Bus(directory / "bus.sock", STRUCTS)
        self.machine = Machine()
        self.heard: list[tuple[str, Any]] = []
        self.agent = self.make_agent()

    def make_agent(self) -> Agent:
        async def greet() -> list[tuple[str, Any]]:
            return [("toy.inventory", Wish(text="mine"))]

        return Agent(
            host_id="h1",
            name="one",
            socket_path=self.directory / "bus.sock",
            verbs=verbs(self.machine),
            fences=Fences(self.directory / "fences"),
            greet=greet,
        )

    def listen(self, *topics: tuple[str, type]) -> None:
        for topic, kind in topics:

            async def hear(host_id: str, body: Any, topic: str = topic) -> None:
                self.heard.append((topic, body))

            self.bus.on_report(topic, kind, hear)

    async def connected(self, is_there: bool = True) -> None:
        await until(lambda: self.bus.connected("h1") == is_there)

    async def ask(self, verb: str, text: str = "", **call: Any) -> Any:
        return await self.bus.call("h1", f"toy.{verb}", Wish(guest_id=call.get("subject", ""), text=text), **call)


@asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(agent.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(agents, "PATIENCE_S", 0.05)
    monkeypatch.setattr(agents, "RECONNECT_S", 0.02)
    made = Pair(tmp_path)
    await made.bus.start()
    async with running(made.agent):
        await made.connected()
        yield made
    await made.bus.stop()


# ---- verbs ----------------------------------------------------------------------------------


async def test_a_verb_is_done_and_answered(pair: Pair) -> None:
    assert await pair.ask("quick", "hello") == Done("HELLO")
    assert await pair.ask("nothing", "hello") == Done()


async def test_a_long_wish_is_working_then_done_and_done_once(pair: Pair) -> None:
    assert await pair.ask("slow", "a", subject="g", fence=1, key="k") == Working()
    pair.machine.gate.set()
    assert await pair.ask("slow", "a", subject="g", fence=1, key="k") == Done("A")
    assert pair.machine.done == ["a"]


async def test_two_who_wish_the_same_at_once_are_joined(pair: Pair) -> None:
    pair.machine.gate.set()
    wish = [pair.ask("slow", "a", subject="g", fence=1, key="k") for _ in range(5)]
    assert await asyncio.gather(*wish) == [Done("A")] * 5
    assert pair.machine.done == ["a"]


async def test_the_same_step_wishing_something_else_is_not_joined(pair: Pair) -> None:
    """A step may apply several things, or others than a second ago."""
    pair.machine.gate.set()
    answers = await asyncio.gather(*[pair.ask("slow", text, subject="g", fence=1, key="k") for text in ("a", "b")])
    assert answers == [Done("A"), Done("B")]


async def test_a_wish_without_a_key_never_gets_the_answer_of_another(pair: Pair) -> None:
    """One that took too long for its caller is done later, and nobody comes back for what it found."""
    early = [str(i) for i in range(20)]
    asked = [pair.ask("slow", text, subject=text, fence=1) for text in early]
    assert await asyncio.gather(*asked) == [Working()] * len(early)
    pair.machine.gate.set()
    await until(lambda: len(pair.machine.done) == len(early))
    for text in [f"late {i}" for i in range(200)]:
        assert await pair.ask("slow", text, subject=text, fence=1) == Done(text.upper())


def a_call() -> wire.Call:
    return wire.Call(id=0, verb="toy.slow", subject="", fence=0, key="", request_id="", body=msgspec.Raw(b"\x80"))


def test_no_two_wishes_without_a_key_are_one_even_when_the_first_is_long_forgotten() -> None:
    """Each call is gone before the next is made, as those are whose connection broke."""
    assert len({agents.identity_of(a_call()) for _ in range(100)}) == 100


def test_a_wish_is_the_same_whatever_token_it_is_to_be_done_by() -> None:
    def wish(errand: Errand) -> tuple[str, ...]:
        body = msgspec.Raw(wire.ENCODE(errand))
        return agents.identity_of(msgspec.structs.replace(a_call(), key="k", body=body), Errand)

    first = wish(Errand("one", "i", [Errand("two", "j")], {"token": "three"}))
    assert first == wish(Errand("four", "i", [Errand("five", "j")], {"token": "three"}))
    for other in (
        Errand("one", "k", [Errand("two", "j")], {"token": "three"}), Errand("one", "i", [], {"token": "three"}),
        Errand("one", "i", [Errand("two", "j")], {"token": "its own"}), Errand("one", "i", [Errand("two", "k")]),
    ):
        assert wish(other) != first
    assert wish(Errand(image_id="i")) == wish(Errand(image_id="i"))


async def test_an_expected_failure_names_its_kind(pair: Pair) -> None:
    assert await pair.ask("refuse") == Failed("Refused", "no room")


async def test_an_accident_is_a_failure_and_the_agent_lives(pair: Pair) -> None:
    answer = await pair.ask("break_down")
    assert answer.kind == "Unexpected"
    assert "KeyError" in answer.text
    assert "/srv" not in answer.text, "a server's fault is read by its owner, and where things lie is the operator's"
    assert await pair.ask("quick", "a") == Done("A")


async def test_a_verb_the_host_does_not_know_is_a_failure(pair: Pair) -> None:
    assert (await pair.ask("unknown")).kind == "UnknownVerb"


async def test_a_verb_no_service_declares_is_never_sent(pair: Pair) -> None:
    with pytest.raises(ValueError, match="declares"):
        await pair.ask("invented")


async def test_a_body_of_another_shape_is_a_failure(pair: Pair) -> None:
    answer = await pair.bus.call("h1", "toy.quick", {"text": 5})
    assert answer.kind == "Unexpected"


async def test_wishes_about_one_guest_wait_for_each_other_but_not_for_another_guests(pair: Pair) -> None:
    first = asyncio.create_task(pair.ask("slow", "first", subject="g", fence=1, key="1"))
    await until(lambda: pair.machine.begun)
    second = asyncio.create_task(pair.ask("quick", "second", subject="g", fence=1, key="2"))
    assert await pair.ask("quick", "other", subject="h", fence=1, key="3") == Done("OTHER")
    assert await pair.ask("apart", "apart", subject="g", fence=1, key="4") == Done("APART")
    pair.machine.gate.set()
    assert await first == Done("FIRST")
    assert await second == Done("SECOND")
    assert pair.machine.done == ["other", "apart", "first", "second"]


async def test_answers_nobody_came_back_for_are_forgotten(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(20):
        await pair.ask("slow", str(i), subject=f"g{i}", fence=1, key="k")
    pair.machine.gate.set()
    await until(lambda: len(pair.machine.done) == 20)
    await pair.ask("quick", "a", subject="x", fence=1, key="k")
    assert len(pair.agent._work) == 20
    monkeypatch.setattr(agents, "KEPT_S", -1.0)
    await pair.ask("quick", "a", subject="x", fence=1, key="k")
    assert pair.agent._work == {}


# ---- fences ---------------------------------------------------------------------------------


async def test_an_older_wish_is_refused_and_told_the_fence(pair: Pair) -> None:
    await pair.ask("quick", "new", subject="g", fence=7)
    with pytest.raises(StaleFence) as refused:
        await pair.ask("quick", "old", subject="g", fence=6)
    assert refused.value.heard == 7
    assert pair.machine.done == ["new"]
    await pair.ask("quick", "another guest", subject="h", fence=6)
    await pair.ask("quick", "no guest", fence=0)


async def test_a_newer_wish_cancels_the_older_under_way(pair: Pair) -> None:
    older = asyncio.create_task(pair.ask("slow", "build", subject="g", fence=1, key="1"))
    await until(lambda: pair.machine.begun)
    assert await pair.ask("quick", "delete", subject="g", fence=2, key="2") == Done("DELETE")
    with pytest.raises(StaleFence):
        await older
    assert pair.machine.cancelled == ["build"]
    assert pair.machine.done == ["delete"]


async def test_fences_outlive_the_agent(tmp_path: Path) -> None:
    fences = Fences(tmp_path / "fences")
    assert fences.admit("g", 5)
    fences.close()
    again = Fences(tmp_path / "fences")
    assert not again.admit("g", 4)
    assert again.admit("g", 5)
    assert again.highest("g") == 5
    again.close()


@pytest.mark.parametrize("torn", ['["h", 1', '["h"', "[", "\x00\x00\x00", '["h", 1]\n["g', "5", '["g", "x"]'])
async def test_a_torn_last_line_loses_nothing_before_it(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "fences"
    path.write_text('["g", 3]\n["g", 9]\n' + torn)
    fences = Fences(path)
    assert not fences.admit("g", 8)
    assert fences.admit("new", 1)
    fences.close()
    again = Fences(path)
    assert (again.highest("g"), again.highest("new")) == (9, 1)
    again.close()


async def test_the_file_of_fences_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyhold.host.fences.REWRITE_AFTER", 10)
    fences = Fences(tmp_path / "fences")
    for fence in range(1, 100):
        assert fences.admit("g", fence)
    assert len((tmp_path / "fences").read_text().splitlines()) <= 12
    fences.close()


@pytest.mark.parametrize("restarted", [False, True])
async def test_fences_of_subjects_long_gone_are_forgotten_and_nothing_older_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    monkeypatch.setattr("skyhold.host.fences.REWRITE_AFTER", 10)
    monkeypatch.setattr("skyhold.host.fences.MOST_SUBJECTS", 5, raising=False)
    path = tmp_path / "fences"
    fences = Fences(path)
    for fence in range(1, 100):
        assert fences.admit(f"g{fence}", fence)
    assert len(path.read_text().splitlines()) <= 5 + 12
    if restarted:
        fences.close()
        fences = Fences(path)
    assert fences.highest("g99") == 99 and not fences.admit("g99", 98)
    assert not fences.admit("g3", 2), "a wish was done that is older than one that was forgotten"
    heard = fences.highest("g3")
    assert 3 <= heard < 99 and fences.admit("g3", heard + 1), "who is told what was heard goes beyond it"
    assert fences.admit("new", 100)
    fences.close()


# ---- connections ----------------------------------------------------------------------------


async def test_a_host_that_is_not_connected_can_not_be_called(pair: Pair) -> None:
    with pytest.raises(HostUnreachable):
        await pair.bus.call("h2", "toy.quick", Wish())


async def test_a_connection_lost_while_answering_is_an_error_and_the_work_goes_on(pair: Pair) -> None:
    asked = asyncio.create_task(pair.ask("slow", "a", subject="g", fence=1, key="k"))
    await until(lambda: pair.machine.begun)
    [session] = pair.agent._sessions
    session.writer.transport.abort()
    with pytest.raises(HostUnreachable):
        await asked
    await pair.connected()
    pair.machine.gate.set()
    assert await pair.ask("slow", "a", subject="g", fence=1, key="k") == Done("A")
    assert pair.machine.done == ["a"]


async def test_an_agent_finds_a_restarted_control_plane(pair: Pair) -> None:
    await pair.bus.stop()
    pair.bus = Bus(pair.directory / "bus.sock", STRUCTS)
    pair.listen(("host.hello", Hello), ("toy.inventory", Wish))
    await pair.bus.start()
    await pair.connected()
    assert await pair.ask("quick", "a") == Done("A")
    assert [topic for topic, _ in pair.heard] == ["host.hello", "toy.inventory"]


async def test_a_second_connection_of_a_host_replaces_the_first(pair: Pair) -> None:
    pair.listen(("host.hello", Hello), ("host.gone", Hello))
    async with running(pair.make_agent()):
        await until(lambda: pair.heard)
        assert await pair.ask("quick", "a") == Done("A")


async def test_gone_is_heard_after_everything_said_before(pair: Pair) -> None:
    pair.listen(("toy.event", Wish), ("host.gone", Hello))
    for i in range(50):
        pair.agent.report("toy.event", Wish(text=str(i)))
    [session] = pair.agent._sessions
    session.writer.close()
    await until(lambda: len(pair.heard) == 51)
    assert [body.text for topic, body in pair.heard if topic == "toy.event"] == [str(i) for i in range(50)]
    assert pair.heard[50][0] == "host.gone"


async def test_hearing_a_report_may_ask_the_host(pair: Pair) -> None:
    """Reports are heard one after another, and must not hold up answers."""
    answers: list[Any] = []

    async def ask_back(host_id: str, body: Any) -> None:
        answers.append(await pair.ask("quick", body.text))

    pair.bus.on_report("toy.event", Wish, ask_back)
    pair.agent.report("toy.event", Wish(text="a"))
    pair.agent.report("toy.event", Wish(text="b"))
    await until(lambda: len(answers) == 2)
    assert answers == [Done("A"), Done("B")]


async def test_a_report_that_fails_or_is_not_understood_does_not_end_the_link(pair: Pair) -> None:
    async def fail(host_id: str, body: Any) -> None:
        raise RuntimeError("no")

    pair.bus.on_report("toy.event", Wish, fail)
    pair.listen(("toy.other", Wish))
    pair.agent.report("toy.event", Wish())
    pair.agent.report("toy.event", {"text": 5})
    pair.agent.report("toy.nobody_listens", Wish())
    pair.agent.report("toy.other", Wish(text="still here"))
    await until(lambda: pair.heard)
    assert pair.heard == [("toy.other", Wish(text="still here"))]
    assert pair.bus.connected("h1")


async def test_frames_of_megabytes_pass_both_ways(pair: Pair) -> None:
    assert len((await pair.ask("huge", str(20_000_000))).text) == 20_000_000
    assert await pair.ask("nothing", "x" * 20_000_000) == Done()


async def test_an_answer_beyond_the_frames_bound_is_a_failure(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "FRAME_LIMIT_BYTES", 1_000_000)
    assert (await pair.ask("huge", "2000000")).kind == "TooLarge"
    assert await pair.ask("quick", "a") == Done("A")


async def test_a_question_beyond_the_frames_bound_is_never_sent(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FRAME_LIMIT_BYTES", 1_000_000)
    with pytest.raises(ValueError, match="the bus takes"):
        await pair.ask("quick", "x" * 2_000_000)
    monkeypatch.undo()
    assert await pair.ask("quick", "a") == Done("A")


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", 2**31) + b"x",
        struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1",
        b"\x00",
        struct.pack(">I", 1) + b"\xc0",
    ],
)
async def test_noise_on_the_socket_ends_that_connection_only(pair: Pair, noise: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(pair.directory / "bus.sock")
    writer.write(noise)
    if len(noise) == 1:
        writer.close()
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()
    assert await pair.ask("quick", "a") == Done("A")


async def test_noise_from_the_control_plane_makes_the_agent_connect_again(pair: Pair) -> None:
    link = pair.bus._links["h1"]
    link._writer.write(struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1")
    await until(lambda: pair.bus._links.get("h1") not in (link, None))
    assert await pair.ask("quick", "a") == Done("A")


async def test_the_socket_is_the_owners_alone(pair: Pair) -> None:
    assert (pair.directory / "bus.sock").stat().st_mode & 0o777 == 0o600


async def test_a_host_that_never_answers_is_unreachable(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CALL_TIMEOUT_S", 0.05)
    monkeypatch.setattr(agents, "PATIENCE_S", 10.0)
    with pytest.raises(HostUnreachable, match="did not answer"):
        await pair.ask("slow", "a", subject="g", fence=1, key="k")
    pair.machine.gate.set()


async def test_a_paused_control_plane_costs_no_memory_and_is_told_anew_when_it_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "RECONNECT_S", 0.02)
    monkeypatch.setattr(agents, "ALIVE_S", 0.05)
    greeted: list[asyncio.StreamReader] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.append(reader)

    # A small buffer, so that the reader's end is soon full: what it doesn't ask for stays with the sender.
    server = await asyncio.start_unix_server(accept, tmp_path / "bus.sock", limit=1024)
    agent = Pair(tmp_path).agent
    async with running(agent), asyncio.timeout(PATIENCE_S):
        while not agent._sessions:
            await asyncio.sleep(0.005)
        [session] = agent._sessions
        for _ in range(3000):
            agent.report("toy.news", Wish(text="x" * 10_000))
        assert session.missed
        assert session.unheard_bytes < agents.UNHEARD_BYTES + 20_000
        while len(greeted) < 2:
            await asyncio.sleep(0.01)
            await greeted[0].read(1024 * 1024)
        assert session not in agent._sessions
    server.close()


async def test_an_agent_stays_with_every_control_process_and_tells_all_of_them(pair: Pair) -> None:
    heard: list[str] = []
    other = Bus(pair.directory / "bus-2.sock", STRUCTS)

    async def hear(host_id: str, body: Any) -> None:
        heard.append(body.text)

    pair.listen(("toy.inventory", Wish))
    other.on_report("toy.inventory", Wish, hear)
    await other.start()
    await until(lambda: other.connected("h1"))
    assert await other.call("h1", "toy.quick", Wish(text="a")) == Done("A")
    assert await pair.ask("quick", "b") == Done("B")
    pair.agent.report("toy.inventory", Wish(text="news"))
    await until(lambda: heard == ["mine", "news"] and pair.heard)
    gone: list[str] = []

    async def went(host_id: str, body: Any) -> None:
        gone.append(host_id)

    other.on_report("host.gone", Hello, went)
    await other.stop()
    assert await pair.ask("quick", "c") == Done("C"), "one that stops takes nobody along"
    assert gone == [], "and doesn't call the host gone that the others still reach"


@pytest.mark.parametrize("turns", range(8))
async def test_a_bus_that_stops_as_a_host_says_hello_stops(tmp_path: Path, turns: int) -> None:
    """At whichever turn of the loop: no cancellation is lost in the moment when what was awaited has come."""
    bus = Bus(tmp_path / "bus.sock", STRUCTS)
    await bus.start()
    _, writer = await asyncio.open_unix_connection(tmp_path / "bus.sock")
    await until(lambda: bus._tasks, "the bus to see the connection")
    await asyncio.sleep(0)
    wire.write_frame(writer, Hello(host_id="h1", name="one", version="1"))
    for _ in range(turns):
        await asyncio.sleep(0)
    stopping = asyncio.create_task(bus.stop())
    _, late = await asyncio.wait([stopping], timeout=PATIENCE_S)
    writer.close()
    await stopping
    assert not late
