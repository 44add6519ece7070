# SPDX-License-Identifier: Apache-2.0
"""Two control processes on one PostgreSQL, and one host: each can do everything, and one is enough.

The processes are workers of one `skyhold serve` (cmd/workers.py). To have one of them do something, the other
is paused: new connections are then taken by whoever is awake.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from skyhold.cmd import processes
from skyhold.core.tables import LEASES
from skyhold.events.logic import signing
from tests.cluster.cloud import QUIET_S, Processes, command, environment, free_port
from tests.cluster.test_chaos import lift_limits
from tests.kit.databases import Servers

pytestmark = [pytest.mark.cluster, pytest.mark.database]

C = "/compute/v2.1"
N = "/network/v2.0"
SECRET = b"a-secret-of-some-length"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Processes]:
    url = servers.fresh("postgresql")
    lines = f'processes = 2\n[database]\nurl = "{url}"\n[outbound]\nallow = ["127.0.0.1/32"]\n'
    made = Processes(tmp_path_factory.mktemp("several"), lines)
    until(lambda: len(workers(made)) == 2, "two processes")
    until(lambda: all(reaches_host(made, pid) for pid in workers(made)), "the host at both")
    lift_limits(made)
    yield made
    made.close()


def workers(cloud: Processes) -> list[int]:
    """The pids of the control processes, the first one first."""
    parent = processes.running(cloud.settings, "serve")
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    words = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in children}
    numbers = {pid: int(each[each.index(b"--worker") + 1]) for pid, each in words.items() if b"--worker" in each}
    return sorted(numbers, key=lambda pid: numbers[pid])


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def only(cloud: Processes, number: int) -> Iterator[None]:
    """Process 0 or 1 is the only one awake."""
    with paused(workers(cloud)[1 - number]):
        yield


def until(true: Callable[[], Any], what: str, patience_s: float = QUIET_S) -> Any:
    end = time.monotonic() + patience_s
    while not (found := true()):
        assert time.monotonic() < end, f"waited {patience_s:g} s for {what}"
        time.sleep(0.05)
    return found


def reaches_host(cloud: Processes, pid: int) -> bool:
    """Each process listens on a socket of its own, and the agent is connected with all of them."""
    number = workers(cloud).index(pid) + 1
    path = str(cloud.settings.run_dir / ("bus.sock" if number == 1 else f"bus-{number}.sock"))
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    # State 03 is connected: the accepted end carries the socket's name.
    return any(line[-1] == path and line[5] == "03" for line in lines)


def create(cloud: Processes, count: int = 1) -> list[str]:
    wished = wish(cloud, count)
    status, answer = cloud.call("POST", f"{C}/servers", wished)
    assert status == 202, answer
    return [server["id"] for server in cloud.call("GET", f"{C}/servers?name={wished['server']['name']}")[1]["servers"]]


def wish(cloud: Processes, count: int) -> dict[str, Any]:
    image = cloud.wanted("/image/v2/images?name=tiny", "images")
    flavor, network = cloud.wanted(f"{C}/flavors", "flavors"), cloud.wanted(f"{N}/networks?name=private", "networks")
    name = f"several-{time.monotonic_ns()}"
    return {"server": {
        "name": name, "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}],
        "min_count": count, "max_count": count,
    }}


def status_of(cloud: Processes, server: str) -> str:
    return str(cloud.call("GET", f"{C}/servers/{server}")[1]["server"]["status"])


def act(cloud: Processes, server: str, body: dict[str, Any], becomes: str, patience_s: float = QUIET_S) -> None:
    assert cloud.call("POST", f"{C}/servers/{server}/action", body)[0] == 202
    until(lambda: status_of(cloud, server) == becomes, f"{server} to be {becomes}", patience_s)


def delete_all(cloud: Processes) -> None:
    for row in cloud.users_servers():
        assert cloud.call("DELETE", f"{C}/servers/{row.id}")[0] in (204, 404)
    until(lambda: not cloud.users_servers(), "all servers to be gone")
    cloud.rest()


@pytest.mark.parametrize("number", [0, 1])
def test_verbs_reach_the_host_whichever_process_runs_the_saga(pair: Processes, number: int) -> None:
    with only(pair, number):
        [server] = create(pair)
        until(lambda: status_of(pair, server) == "ACTIVE", "a server")
        assert server in pair.guests()
        act(pair, server, {"os-stop": None}, "SHUTOFF")
        act(pair, server, {"os-start": None}, "ACTIVE")
        # The data plane's loop goes on too, once the lease of the one that sleeps has ended.
        ports = pair.call("GET", f"{N}/ports?device_id={server}")[1]["ports"]
        until(lambda: pair.call("GET", f"{N}/ports/{ports[0]['id']}")[1]["port"]["status"] == "ACTIVE", "its port")
        assert pair.call("DELETE", f"{C}/servers/{server}")[0] == 204
        until(lambda: server not in pair.guests(), "its guest to be gone")
    pair.rest()
    until(lambda: pair.call("GET", "/admin/v1/audit", admin=True)[1] == {"findings": []}, "nothing to be found")


def test_what_a_paused_process_held_goes_on_elsewhere_and_it_undoes_nothing(pair: Processes) -> None:
    """Whoever took the request may have the saga too: the other has it when the lease has ended."""
    ids = [id for _ in range(4) for id in create(pair, 3)]
    with only(pair, 1):
        until(lambda: {status_of(pair, id) for id in ids} == {"ACTIVE"}, "all servers")
    pair.rest()
    for id in ids:
        pair.call("DELETE", f"{C}/servers/{id}")
    with only(pair, 0):
        until(lambda: not pair.users_servers(), "all servers to be gone")
    pair.rest()
    assert len(pair.guests()) == 1, "only the guest of `first`"


def test_a_process_is_killed_and_work_goes_on_until_there_are_two_again(pair: Processes) -> None:
    for number in (0, 1, 0):
        before, wished, statuses = workers(pair), wish(pair, 10), []
        making = threading.Thread(target=lambda wished=wished, told=statuses: told.append(  # type: ignore[misc]
            pair.call("POST", f"{C}/servers", wished)[0]
        ))
        making.start()
        time.sleep(0.15)
        os.kill(before[number], signal.SIGKILL)
        making.join()
        assert statuses in ([0], [202]), "made, or cut off with the process that was asked"
        # The other takes connections all the time.
        answers = [pair.call("GET", f"{C}/servers")[0] for _ in range(20)]
        assert answers == [200] * 20
        until(lambda before=before: len(set(workers(pair)) - set(before)) == 1, "another process")  # type: ignore[misc]
        pair.rest()
        assert {status_of(pair, row.id) for row in pair.users_servers()} <= {"ACTIVE"}
        until(lambda: all(reaches_host(pair, pid) for pid in workers(pair)), "the host at both")
    delete_all(pair)


def test_keys_rotated_in_one_process_are_the_others_too(pair: Processes) -> None:
    """No logout, and no secret that can't be opened: neither for tokens nor for what is sealed at rest."""
    with receiver() as (url, heard):
        hook = {"webhook": {"name": "several", "url": url, "secret": SECRET.decode(),
                            "wanted": {"kinds": ["network"]}}}
        status, made = pair.call("POST", "/events/v1/webhooks", hook)
        assert status == 201, made
        for number in (0, 1):
            with only(pair, number):
                assert pair.call("POST", "/admin/v1/rotate-keys", {}, admin=True)[0] == 204
                before, before_admin = pair.token, pair.admin_token
                pair.sign_in()
            with only(pair, 1 - number):
                assert pair.call("GET", f"{N}/networks")[0] == 200, "a token signed with a key of the other's"
                after, pair.token = pair.token, before
                assert pair.call("GET", f"{N}/networks")[0] == 200, "a token from before"
                pair.token = after
                network = {"network": {"name": f"told-{number}"}}
                id = pair.call("POST", f"{N}/networks", network)[1]["network"]["id"]
                until(lambda id=id: any(id in body for body in heard), "the delivery")  # type: ignore[misc]
                assert pair.call("DELETE", f"{N}/networks/{id}")[0] == 204
                pair.admin_token = before_admin
        pair.sign_in()
        assert pair.call("DELETE", f"/events/v1/webhooks/{made['webhook']['id']}")[0] == 204


def test_who_is_told_to_stop_lets_go_of_the_leases_of_its_loops(pair: Processes) -> None:
    held = sa.select(LEASES.c.name).where(LEASES.c.until > 0)
    assert pair.ask(held)
    assert pair.skyhold("down").returncode == 0
    assert pair.ask(held) == [], "the next start would wait until they have ended"
    pair.up()
    until(lambda: len(workers(pair)) == 2, "two processes")
    until(lambda: all(reaches_host(pair, pid) for pid in workers(pair)), "the host at both")
    pair.sign_in()


def test_a_bell_is_heard_in_the_process_that_runs_the_loop_and_meters_tell_who_was_asked(pair: Processes) -> None:
    """The cache's loop comes by itself only every five minutes, and in one of the two processes."""
    image = pair.wanted("/image/v2/images?name=tiny", "images")
    asked = answered(pair)
    while min(answered(pair).get(number, 0) - asked.get(number, 0) for number in ("1", "2")) < 2:
        assert pair.call("PUT", f"/image/v2/cache/{image}", admin=True)[0] in (200, 202, 204)
        until(lambda: image in cached(pair), "a copy of the image", 5)
        assert pair.call("DELETE", f"/image/v2/cache/{image}", admin=True)[0] in (200, 202, 204)
        until(lambda: image not in cached(pair), "no copy of the image", 5)


def cached(cloud: Processes) -> list[str]:
    return [row["image_id"] for row in cloud.call("GET", "/image/v2/cache", admin=True)[1]["cached_images"]]


def answered(cloud: Processes) -> dict[str, float]:
    """How many wishes for a copy each process has answered, by its number: one scrape tells of both."""
    with urlopen(f"http://127.0.0.1:{cloud.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert set(re.findall(r'^skyhold_commits_total\{process="(\d+)"\}', text, re.MULTILINE)) == {"1", "2"}
    counted = r'^skyhold_requests_total\{method="PUT",process="(\d+)",route="/v2/cache/.*\} (\S+)$'
    return {number: float(count) for number, count in re.findall(counted, text, re.MULTILINE)}


def test_processes_that_can_not_start_say_why_and_are_not_tried_for_ever(tmp_path: Path, servers: Servers) -> None:
    home, url = tmp_path / "sky", servers.fresh("postgresql")
    home.mkdir(mode=0o700)
    (home / "keys/master").mkdir(parents=True)
    (home / "keys/master/0").write_bytes(b"half a key")
    (home / "skyhold.toml").write_text(
        f'[host]\nhypervisor = "fake"\nnetwork = "fake"\n[http]\nport = {free_port()}\nprocesses = 2\n'
        f'[database]\nurl = "{url}"\n'
    )
    up = command(home, environment(tmp_path), "up")
    assert up.returncode == 1 and f"The key {home}/keys/master/0 is damaged" in up.stdout + up.stderr
    assert "Traceback" not in up.stdout + up.stderr
    (home / "skyhold.toml").write_text("[http]\nprocesses = 2\n")
    serve = command(home, environment(tmp_path), "serve")
    assert serve.returncode == 1 and "SQLite has one control process" in serve.stderr


@contextmanager
def receiver() -> Iterator[tuple[str, list[str]]]:
    """Takes deliveries and refuses those whose signature isn't the secret's."""
    heard: list[str] = []

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            stamp = int(self.headers[signing.TIMESTAMP])
            good = self.headers[signing.SIGNATURE] == signing.signature(SECRET, stamp, body)
            self.send_response(204 if good else 401)
            self.end_headers()
            if good:
                heard.append(body.decode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", heard
    finally:
        server.shutdown()
        server.server_close()
