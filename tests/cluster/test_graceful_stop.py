# SPDX-License-Identifier: Apache-2.0
"""SIGTERM while the control plane is in the middle of things: they end, or are refused, and nothing is half there.

Being killed without a word is test_chaos.py and test_each_step.py.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from skyhold.cmd import processes
from tests.cluster.cloud import Processes
from tests.cluster.test_chaos import lift_limits
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.cluster

C, N, I = "/compute/v2.1", "/network/v2.0", "/image/v2/images"  # noqa: E741
STOPPED_S = 30.0
"""Requests get ten seconds to end, and the machine may stand still for some more."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    made = Processes(tmp_path_factory.mktemp("graceful"), '[outbound]\nallow = ["127.0.0.1/32"]\n')
    lift_limits(made)
    yield made
    made.close()


def terminate(cloud: Processes) -> threading.Thread:
    """SIGTERM, and whoever waits for the end: it fails when the process takes too long."""
    pid, start = processes.running(cloud.settings, "serve"), time.monotonic()
    cloud.signal("serve", signal.SIGTERM)

    def wait() -> None:
        while processes.running(cloud.settings, "serve") == pid:
            if time.monotonic() - start > STOPPED_S:
                cloud.signal("serve", signal.SIGKILL)
                late.append(time.monotonic() - start)
                return
            time.sleep(0.01)

    late: list[float] = []
    waiting = threading.Thread(target=wait)
    waiting.late = late  # type: ignore[attr-defined]
    waiting.start()
    return waiting


def ready_again(cloud: Processes, waiting: threading.Thread, *, at_rest: bool = True) -> None:
    waiting.join()
    assert not waiting.late, "it did not stop in time"  # type: ignore[attr-defined]
    assert not (cloud.home / "run/bus.sock").exists(), "it died of the signal, and stopped nothing"
    log = (cloud.home / "log/serve.log").read_text()
    assert "Traceback" not in log and "request failed" not in log, log[-4000:]
    cloud.up()
    if not at_rest:
        return
    cloud.rest()
    end = time.monotonic() + PATIENCE_S
    while (told := cloud.call("GET", "/admin/v1/audit", admin=True)) != (200, {"findings": []}):
        assert time.monotonic() < end, told
        time.sleep(0.2)


def opened(cloud: Processes, method: str, path: str, **headers: str) -> socket.socket:
    """A request whose head is sent; the rest is up to the test."""
    line = socket.create_connection(("127.0.0.1", cloud.port), timeout=30)
    told = {"Host": "test", "X-Auth-Token": cloud.token, **{name.replace("_", "-"): v for name, v in headers.items()}}
    line.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in told.items()), "", ""]).encode())
    return line


def upload(cloud: Processes, image: str, size: int) -> socket.socket:
    told = {"Content_Type": "application/octet-stream", "Content_Length": str(size), "Connection": "close"}
    return opened(cloud, "PUT", f"{I}/{image}/file", **told)


def rest_of(line: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    while part := line.recv(65536):
        parts.append(part)
    return b"".join(parts)


def queued_image(cloud: Processes, name: str) -> str:
    status, made = cloud.call("POST", I, {"name": name, "disk_format": "raw", "container_format": "bare"})
    assert status == 201, made
    return str(made["id"])


def wish(cloud: Processes) -> dict[str, Any]:
    network = cloud.wanted(f"{N}/networks?name=private", "networks")
    return {"imageRef": cloud.wanted(f"{I}?name=tiny", "images"), "flavorRef": cloud.wanted(f"{C}/flavors", "flavors"),
            "networks": [{"uuid": network}]}


def saving(cloud: Processes, image: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while cloud.call("GET", f"{I}/{image}")[1]["status"] != "saving":
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_upload_under_way_is_finished(running: Processes) -> None:
    image = queued_image(running, "finished")
    size = 3 * 1024 * 1024
    line = upload(running, image, size)
    line.sendall(b"\0" * (size // 3))
    saving(running, image)
    stopping = terminate(running)
    for _ in range(2):
        time.sleep(0.5)
        line.sendall(b"\0" * (size // 3))
    assert rest_of(line).startswith(b"HTTP/1.1 204")
    ready_again(running, stopping)
    shown = running.call("GET", f"{I}/{image}")[1]
    assert (shown["status"], shown["size"]) == ("active", size)
    assert running.call("DELETE", f"{I}/{image}")[0] == 204


def test_an_upload_that_never_ends_is_cut_off_and_can_be_repeated(running: Processes) -> None:
    image = queued_image(running, "cut off")
    line = upload(running, image, 9_999_999)
    line.sendall(b"\0" * 1000)
    saving(running, image)
    stopping = terminate(running)
    told = rest_of(line)
    assert told.startswith(b"HTTP/1.1 503") and b'"reason":"stopping"' in told
    ready_again(running, stopping, at_rest=False)
    line.close()
    assert running.call("GET", f"{I}/{image}")[1]["status"] == "queued"
    line = upload(running, image, 1024)
    line.sendall(b"\0" * 1024)
    assert rest_of(line).startswith(b"HTTP/1.1 204")
    assert running.call("DELETE", f"{I}/{image}")[0] == 204
    running.rest()


@pytest.mark.parametrize("ends", [True, False], ids=["ends in time", "never ends"])
def test_an_object_on_its_way_is_the_new_one_or_the_old_one(running: Processes, ends: bool) -> None:
    status, made = running.call("GET", "/identity/v3/auth/projects")
    assert status == 200
    container = f"/object-store/v1/AUTH_{made['projects'][0]['id']}/birds"
    put(running, container, b"")
    put(running, f"{container}/crow", b"the old one")
    size = 3 * 1024 * 1024
    told = {"Content_Type": "application/octet-stream", "Content_Length": str(size), "Connection": "close"}
    line = opened(running, "PUT", f"{container}/crow", **told)
    line.sendall(b"x" * (size // 3))
    time.sleep(0.3)
    stopping = terminate(running)
    if ends:
        for _ in range(2):
            time.sleep(0.5)
            line.sendall(b"x" * (size // 3))
        assert rest_of(line).startswith(b"HTTP/1.1 201")
    ready_again(running, stopping)
    line.close()
    content = rest_of(opened(running, "GET", f"{container}/crow", Connection="close")).partition(b"\r\n\r\n")[2]
    assert content == (b"x" * size if ends else b"the old one")


def put(cloud: Processes, path: str, content: bytes) -> None:
    told = {"Content_Type": "text/plain", "Content_Length": str(len(content)), "Connection": "close"}
    line = opened(cloud, "PUT", path, **told)
    line.sendall(content)
    assert rest_of(line).startswith((b"HTTP/1.1 201", b"HTTP/1.1 202"))


def test_creates_are_whole_or_not_there(running: Processes) -> None:
    """Whoever got a 202 has a server; whoever was refused a connection has none."""
    common = wish(running)
    answers: Counter[int] = Counter()
    told: list[str] = []

    def create(n: int) -> None:
        for i in range(1000):
            status, answer = running.call("POST", f"{C}/servers", {"server": common | {"name": f"g-{n}-{i}"}})
            answers[status] += 1
            if status == 202:
                told.append(answer["server"]["id"])
            else:
                return

    users = [threading.Thread(target=create, args=(n,)) for n in range(4)]
    for user in users:
        user.start()
    time.sleep(0.6)
    stopping = terminate(running)
    for user in users:
        user.join()
    ready_again(running, stopping)
    assert set(answers) <= {202, 0, 503}, answers
    there = {row.id for row in running.users_servers()}
    assert set(told) <= there
    # A connection may break after the commit and before the answer, but not one of those told is missing.
    assert len(there) <= len(told) + len(users), answers
    assert {row.state for row in running.users_servers()} == {"active"}
    for id in there:
        assert running.call("DELETE", f"{C}/servers/{id}")[0] == 204
    running.rest()


def test_a_stream_of_events_comes_to_its_end(running: Processes) -> None:
    line = opened(running, "GET", "/events/v1/events", Accept="text/event-stream")
    began = line.recv(65536)
    assert b"200 OK" in began
    stopping = terminate(running)
    told = began + rest_of(line)
    assert told.endswith(b"0\r\n\r\n"), "the last chunk: it was asked to end, and not cut off after ten seconds"
    ready_again(running, stopping)


def test_down_waits_for_a_request_a_stream_and_a_delivery_under_way(running: Processes) -> None:
    """Each comes to its end: a whole answer, a last chunk, and an event that is acknowledged once and for all."""
    with slow_receiver() as (url, asked, answer, heard):
        hook = {"name": "slow", "url": url, "secret": "a-secret-of-some-length", "wanted": {"kinds": ["network"]}}
        status, made = running.call("POST", "/events/v1/webhooks", {"webhook": hook})
        assert status == 201, made
        at = f"/events/v1/webhooks/{made['webhook']['id']}"
        network = running.call("POST", f"{N}/networks", {"network": {"name": "told of"}})[1]["network"]["id"]
        assert asked.wait(PATIENCE_S)
        image, size = queued_image(running, "with the rest"), 2 * 1024 * 1024
        line = upload(running, image, size)
        line.sendall(b"\0" * (size // 2))
        saving(running, image)
        stream = opened(running, "GET", "/events/v1/events", Accept="text/event-stream")
        began = stream.recv(65536)
        assert b"200 OK" in began
        start, down = time.monotonic(), threading.Thread(target=lambda: done.append(running.skyhold("down")))
        done: list[Any] = []
        down.start()
        # First it stops the agent, then it asks the control plane.
        assert (began + rest_of(stream)).endswith(b"0\r\n\r\n")
        line.sendall(b"\0" * (size // 2))
        assert rest_of(line).startswith(b"HTTP/1.1 204")
        time.sleep(0.5)
        answer.set()
        down.join()
        assert done[0].returncode == 0 and time.monotonic() - start < STOPPED_S, done
        log = (running.home / "log/serve.log").read_text()
        assert "Traceback" not in log, log[-4000:]
        assert heard == ["network.create"]
        running.up()
        assert running.call("GET", f"{I}/{image}")[1]["status"] == "active"
        assert running.call("DELETE", f"{N}/networks/{network}")[0] == 204
        end = time.monotonic() + PATIENCE_S
        while len(heard) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        # The creation came once, and not again after the start.
        assert heard == ["network.create", "network.delete"] and running.call("DELETE", at)[0] == 204
    assert running.call("DELETE", f"{I}/{image}")[0] == 204
    running.rest()


def test_down_does_not_wait_longer_for_a_receiver_that_never_answers(running: Processes) -> None:
    with slow_receiver() as (url, asked, answer, heard):
        hook = {"name": "mute", "url": url, "secret": "a-secret-of-some-length", "wanted": {"kinds": ["network"]}}
        status, made = running.call("POST", "/events/v1/webhooks", {"webhook": hook})
        assert status == 201, made
        network = running.call("POST", f"{N}/networks", {"network": {"name": "not told of"}})[1]["network"]["id"]
        assert asked.wait(PATIENCE_S)
        ready_again(running, terminate(running))
        answer.set()
        end = time.monotonic() + PATIENCE_S
        while len(heard) < 2:
            assert time.monotonic() < end, "it comes again after the start, at once"
            time.sleep(0.02)
        assert heard == ["network.create"] * 2
        assert running.call("DELETE", f"/events/v1/webhooks/{made['webhook']['id']}")[0] == 204
    assert running.call("DELETE", f"{N}/networks/{network}")[0] == 204


@contextmanager
def slow_receiver() -> Iterator[tuple[str, threading.Event, threading.Event, list[str]]]:
    """Its URL, whether it was asked, what it waits for before it answers, and the actions that it was told of."""
    asked, answer, heard = threading.Event(), threading.Event(), list[str]()

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(body["event"]["action"])
            asked.set()
            answer.wait(2 * STOPPED_S)
            with suppress(OSError):
                self.send_response(204)
                self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked, answer, heard
    finally:
        answer.set()
        server.shutdown()
        server.server_close()


def test_a_step_under_way_goes_on_after_the_start(running: Processes) -> None:
    """The host does not answer, so the step can't end; nobody waits for it either."""
    server = wish(running) | {"name": "between"}
    running.signal("host", signal.SIGSTOP)
    status, made = running.call("POST", f"{C}/servers", {"server": server})
    assert status == 202, made
    end = time.monotonic() + PATIENCE_S
    while (under_way := running.steps()) not in (["compute.boot.wire_ports"], ["compute.boot.spawn"]):
        assert time.monotonic() < end, under_way
        time.sleep(0.05)
    stopping = terminate(running)
    stopping.join()
    assert running.steps()[0] in ("compute.boot.wire_ports", "compute.boot.spawn")
    running.signal("host", signal.SIGCONT)
    ready_again(running, stopping)
    id = made["server"]["id"]
    assert running.call("GET", f"{C}/servers/{id}")[1]["server"]["status"] == "ACTIVE"
    assert running.call("DELETE", f"{C}/servers/{id}")[0] == 204
    running.rest()


def test_who_keeps_a_connection_open_keeps_nobody_from_stopping(running: Processes) -> None:
    line = opened(running, "GET", "/identity/v3")
    # The body may come apart from the headers.
    answer = b""
    while not answer.endswith(b"}"):
        answer += line.recv(65536)
    assert b"200 OK" in answer
    stopping = terminate(running)
    assert rest_of(line) == b""
    ready_again(running, stopping)
    assert running.call("GET", "/identity/v3")[0] == 200
