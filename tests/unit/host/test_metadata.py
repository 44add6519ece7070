# SPDX-License-Identifier: Apache-2.0
"""The metadata service over a real socket: its pages, its limits, and whom it believes.

What the tree holds per version is tested in tests/unit/compute/test_config_drive.py. Here `who` plays the
network engine: it alone says which server is asking.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from io import BytesIO

import pycdlib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyhold.compute.drivers import config_drive
from skyhold.compute.drivers.base import InstanceMetadata
from skyhold.compute.drivers.instance_tree import EC2_VERSIONS, ec2_meta_data, tree
from skyhold.host.metadata.server import MetadataServer
from tests.kit.patience import PATIENCE_S, until

MINE = InstanceMetadata(
    server_id="1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
    project_id="8b1c",
    name="web",
    hostname="web.novalocal",
    availability_zone="nova",
    public_keys={"laptop": "ssh-ed25519 AAAA me"},
    meta={"role": "web"},
    user_data=b"#!/bin/sh\necho \xff\n",
    random_seed=b"s" * 64,
    network_data={"links": [], "networks": [], "services": []},
    fixed_ips=["10.0.0.5"],
    security_groups=["default", "web"],
)
OTHER = InstanceMetadata(
    server_id="other", project_id="x", name="victim", hostname="victim", availability_zone="nova"
)


class Service:
    """A running service with one door, and a client that speaks bytes."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, timeout_s: float = 5.0) -> None:
        self.posted: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.server_id: str | None = MINE.server_id
        self.server = MetadataServer(
            lambda server_id, text: self.posted.append((server_id, text)), timeout_s=timeout_s
        )
        self.server.set(MINE.server_id, MINE)
        self.server.set("other", OTHER)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.sock.listen()
        self.address = self.sock.getsockname()[:2]

    async def __aenter__(self) -> Service:
        await self.server.open("network:n", self.sock, self._who)
        return self

    async def __aexit__(self, *_) -> None:
        await self.server.close_all()

    def _who(self, peer: str) -> str | None:
        self.asked.append(peer)
        return self.server_id

    async def raw(self, content: bytes, *, half_close: bool = True) -> bytes:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(content)
        if half_close:
            writer.write_eof()
        try:
            return await asyncio.wait_for(reader.read(), PATIENCE_S)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def ask(
        self, path: str, method: str = "GET", fields: str = "", body: bytes = b""
    ) -> tuple[int, bytes]:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n{length}{fields}\r\n".encode()
        head, _, content = (await self.raw(head + body)).partition(b"\r\n\r\n")
        return int(head.split()[1]), content


@pytest.fixture
async def service():
    async with Service() as service:
        yield service


def _read_drive(path) -> dict[str, bytes]:
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    found: dict[str, bytes] = {}
    for folder, _, names in iso.walk(rr_path="/"):
        for name in names:
            full, out = f"{folder.rstrip('/')}/{name}", BytesIO()
            iso.get_file_from_iso_fp(out, rr_path=full)
            found[full.lstrip("/")] = out.getvalue()
    iso.close()
    return found


async def test_drive_and_service_say_the_same(service, tmp_path):
    config_drive.build(MINE, tmp_path / "drive")
    drive = _read_drive(tmp_path / "drive")
    for path, content in drive.items():
        if path.startswith("openstack/"):
            assert await service.ask(f"/{path}") == (200, content), path
    for version in ("2009-04-04", "latest"):
        assert drive[f"ec2/{version}/user-data"] == (await service.ask(f"/{version}/user-data"))[1]
        leaves = json.loads(drive[f"ec2/{version}/meta-data.json"])
        assert leaves == await _crawl(service, f"/{version}/meta-data")
    served = {path for path in tree(MINE) if path.startswith("openstack/")}
    assert served == {path for path in drive if path.startswith("openstack/")}


async def _crawl(service: Service, folder: str) -> dict:
    """What a guest learns that follows every listing, as cloud-init's EC2 crawler does."""
    found: dict = {}
    _, listing = await service.ask(f"{folder}/")
    for entry in listing.decode().split("\n"):
        if "=" in entry and folder.endswith("public-keys"):
            name, _, _ = entry.partition("=")
            found[name] = await _crawl(service, f"{folder}/{name}")
        elif entry.endswith("/"):
            found[entry[:-1]] = await _crawl(service, folder + "/" + entry[:-1])
        else:
            text = (await service.ask(f"{folder}/{entry}"))[1].decode()
            found[entry] = text.split("\n") if entry == "security-groups" else text
    return found


async def test_listings(service):
    assert (await service.ask("/"))[1].decode().split("\n") == [*EC2_VERSIONS, "latest"]
    assert (await service.ask("/ec2"))[1] == (await service.ask("/"))[1]
    versions = (await service.ask("/openstack/"))[1].decode().split("\n")
    assert (versions[0], versions[-2], versions[-1]) == ("2012-08-10", "2025-04-04", "latest")
    assert (await service.ask("/openstack/2012-08-10"))[1] == b"meta_data.json\nuser_data"
    assert (await service.ask("/openstack/latest/"))[1].decode().split("\n") == [
        "meta_data.json",
        "user_data",
        "password",
        "vendor_data.json",
        "network_data.json",
        "vendor_data2.json",
    ]
    assert (await service.ask("/latest"))[1] == b"meta-data/\nuser-data"
    assert b"placement/" in (await service.ask("/latest/meta-data/"))[1].split(b"\n")
    assert (await service.ask("/latest/meta-data/public-keys/"))[1] == b"0=laptop"
    assert (await service.ask("/latest/meta-data/public-keys/0/openssh-key"))[1] == b"ssh-ed25519 AAAA me"
    assert (await service.ask("/2009-04-04/meta-data/instance-id"))[1] == b"i-1b9d6bcd"


@pytest.mark.parametrize(
    "path",
    [
        "/openstack/2031-01-01",
        "/openstack/latest/nothing",
        "/latest/nothing",
        "/openstack/../../etc/passwd",
        "/%00",
        "/openstack/2012-08-10/password",
        "/openstack/2012-08-10/vendor_data.json",
        "/1.0/meta-data/placement",
    ],
)
async def test_what_is_not_there_is_not_found(service, path):
    assert (await service.ask(path))[0] == 404


async def test_odd_spellings_of_a_path_mean_the_same(service):
    plain = await service.ask("/openstack/latest/meta_data.json")
    for path in ("//openstack//latest/meta_data.json/", "/openstack/latest/meta%5fdata.json?x=1",
                 "http://169.254.169.254/openstack/latest/meta_data.json"):  # fmt: skip
        assert await service.ask(path) == plain


async def test_invariant_10_identity_is_the_port_and_no_header_is_believed(service):
    """CVE-2026-22797's class: identity headers that came from a client."""
    forged = "".join(
        f"{name}: {value}\r\n"
        for name, value in [
            ("X-Instance-ID", "other"),
            ("X-Instance-ID-Signature", "0" * 64),
            ("X-Tenant-ID", "x"),
            ("X-Forwarded-For", "10.9.9.9"),
            ("Forwarded", "for=10.9.9.9"),
            ("X-Real-IP", "10.9.9.9"),
            ("X-OVN-Network-ID", "n2"),
            ("Host", "other"),
        ]
    )
    status, body = await service.ask("/openstack/latest/meta_data.json", fields=forged)
    assert (status, json.loads(body)["uuid"]) == (200, MINE.server_id)
    assert set(service.asked) == {"127.0.0.1"}


async def test_strangers_get_404_and_learn_nothing(service):
    service.server_id = None
    for path in ("/", "/openstack", "/latest/meta-data/instance-id"):
        status, body = await service.ask(path)
        assert status == 404
        assert b"i-" not in body
    assert service.server.stats.strangers == 3


async def test_a_server_not_yet_known_is_asked_to_come_back(service):
    service.server.forget(MINE.server_id)
    assert (await service.ask("/openstack/latest/meta_data.json"))[0] == 503
    service.server.set(MINE.server_id, MINE)
    assert (await service.ask("/openstack/latest/meta_data.json"))[0] == 200


async def test_the_password_is_posted_once(service):
    path = "/openstack/2013-04-04/password"
    assert await service.ask(path) == (200, b"")
    assert (await service.ask(path, "POST", body=b"x" * 1021))[0] == 400
    assert (await service.ask(path, "POST", body=b"\xff"))[0] == 400
    assert (await service.ask(path, "POST", body=b"c2VjcmV0"))[0] == 200
    assert (await service.ask(path, "POST", body=b"again"))[0] == 409
    assert await service.ask("/openstack/latest/password") == (200, b"c2VjcmV0")
    assert service.posted == [(MINE.server_id, "c2VjcmV0")]
    service.server.set(MINE.server_id, MINE)
    assert await service.ask(path) == (200, b"c2VjcmV0")
    assert (await service.ask(path, "DELETE"))[0] == 405


async def test_only_the_password_is_writable(service):
    assert (await service.ask("/openstack/latest/meta_data.json", "POST", body=b"{}"))[0] == 405
    assert (await service.ask("/latest/meta-data/", "PUT"))[0] == 405


async def test_session_tokens(service):
    lasts = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
    status, token = await service.ask("/latest/api/token", "PUT", lasts)
    assert status == 200
    good = f"X-aws-ec2-metadata-token: {token.decode()}\r\n"
    assert (await service.ask("/latest/meta-data/instance-id", fields=good))[1] == b"i-1b9d6bcd"
    bad = good.replace(token.decode()[10:14], "AAAA")
    assert (await service.ask("/latest/meta-data/instance-id", fields=bad))[0] == 401
    service.server_id = "other"
    assert (await service.ask("/latest/meta-data/instance-id", fields=good))[0] == 401
    assert (await service.ask("/latest/api/token", "PUT", lasts + "X-Forwarded-For: 1.2.3.4\r\n"))[0] == 403
    for wrong in ("0", "99999", "x", "-1", "6_0", "000000001999999"):
        assert (await service.ask("/latest/api/token", "PUT", lasts.replace("60", wrong)))[0] == 400
    assert (await service.ask("/latest/api/token", "PUT"))[0] == 400


async def test_bug_2150094_a_wrong_signature_is_never_answered_or_logged_with_the_right_one(service, capfd):
    """The log told the signature that would have been right, to whoever could read it."""
    lasts = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
    _, token = await service.ask("/latest/api/token", "PUT", lasts)
    until, signature = base64.urlsafe_b64decode(token)[:8], base64.urlsafe_b64decode(token)[8:]
    forged = base64.urlsafe_b64encode(until + bytes(32)).decode()
    status, answer = await service.ask("/latest/meta-data/", fields=f"X-aws-ec2-metadata-token: {forged}\r\n")
    assert status == 401
    out, err = capfd.readouterr()
    for told in (answer.decode(), out, err):
        for spelled in (base64.b64encode(signature).decode(), base64.urlsafe_b64encode(signature).decode(),
                        signature.hex(), token.decode()):
            assert spelled not in told


async def test_head_has_the_length_but_no_body(service):
    reply = await service.raw(b"HEAD /openstack/latest/user_data HTTP/1.0\r\n\r\n")
    head, _, body = reply.partition(b"\r\n\r\n")
    assert body == b""
    assert b"Content-Length: 17" in head
    assert b"Connection: close" in head


async def test_pipelined_requests_are_answered_in_order_until_garbage(service):
    one = b"GET /latest/meta-data/hostname HTTP/1.1\r\n\r\n"
    two = b"GET /latest/meta-data/local-ipv4 HTTP/1.1\r\n\r\n"
    reply = await service.raw(one + two + b"\x16\x03\x01 garbage\r\n\r\n" + one)
    assert reply.count(b"HTTP/1.1 200 OK") == 2
    assert reply.count(b"HTTP/1.1 400 Bad Request") == 1
    assert 0 < reply.find(b"web.novalocal") < reply.find(b"10.0.0.5") < reply.find(b"400 Bad Request")


async def test_http_1_0_may_keep_its_connection(service):
    one = b"GET /latest/meta-data/hostname HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert (await service.raw(one + one)).count(b"200 OK") == 2
    assert (await service.raw(one.replace(b"keep-alive", b"close") + one)).count(b"200 OK") == 1


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET ftp://x/ HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_what_is_not_plainly_right_is_refused(service, request_bytes, status):
    reply = await service.raw(request_bytes, half_close=False)
    assert reply.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in reply


async def test_an_endless_header_costs_no_memory(service):
    _, writer = await asyncio.open_connection(*service.address)
    writer.write(b"GET / HTTP/1.1\r\n")
    sent = 0
    try:
        while sent < 64 << 20:
            writer.write(b"X: " + b"a" * 65536)
            await asyncio.wait_for(writer.drain(), PATIENCE_S)
            sent += 65536
    except OSError:
        pass
    assert sent < 16 << 20
    writer.close()


async def test_slow_clients_are_cut_off():
    async with Service(timeout_s=0.3) as service:
        reader, writer = await asyncio.open_connection(*service.address)
        writer.write(b"GET / HTTP/1.1\r\nSlow: ")
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(PATIENCE_S):
            while not ended.done():
                writer.write(b"y")
                await asyncio.wait([ended], timeout=0.02)
        # It hangs up without a word: in order, or in the midst of a byte that comes.
        assert isinstance(ended.exception(), ConnectionError) or ended.result() == b""
        assert service.server.stats.timeouts == 1
        writer.close()


async def test_a_client_that_never_reads_is_cut_off():
    async with Service(timeout_s=0.3) as service:
        service.server.set(MINE.server_id, InstanceMetadata(
            server_id=MINE.server_id, project_id="p", name="n", hostname="n", availability_zone="z",
            user_data=b"x" * (8 << 20)))  # fmt: skip
        _, writer = await asyncio.open_connection(*service.address, limit=1024)
        writer.write(b"GET /latest/user-data HTTP/1.1\r\n\r\n")
        door = service.server._doors["network:n"]
        await until(lambda: service.server.stats.requests and not door.talks)
        assert not door.per_peer
        writer.close()


async def test_connections_per_peer_are_bounded(service):
    held = [await asyncio.open_connection(*service.address) for _ in range(16)]
    await until(lambda: sum(service.server._doors["network:n"].per_peer.values()) == 16)
    assert await service.raw(b"GET / HTTP/1.1\r\n\r\n") == b""
    assert service.server.stats.limited == 1
    held[0][1].close()
    await until(lambda: sum(service.server._doors["network:n"].per_peer.values()) == 15)
    assert (await service.ask("/"))[0] == 200
    for _, writer in held:
        writer.close()


async def test_strangers_share_one_allowance(service):
    service.server_id = None
    held = []
    for number in range(16):
        held.append(await asyncio.open_connection(*service.address, local_addr=(f"127.0.0.{number + 2}", 0)))
    await until(lambda: sum(service.server._doors["network:n"].per_peer.values()) == 16)
    assert await service.raw(b"GET / HTTP/1.1\r\n\r\n") == b""
    service.server_id = MINE.server_id
    assert (await service.ask("/"))[0] == 200
    for _, writer in held:
        writer.close()


async def test_a_password_that_could_not_be_told_may_be_posted_again(service):
    def fail(_server_id: str, _text: str) -> None:
        raise RuntimeError("nobody listens")

    told, service.server._on_password = service.server._on_password, fail
    assert await service.raw(b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 1\r\n\r\nx") == b""
    service.server._on_password = told
    assert (await service.ask("/openstack/latest/password", "POST", body=b"x"))[0] == 200
    assert service.posted == [(MINE.server_id, "x")]


async def test_ipv6_peers_are_named_without_their_zone():
    async with Service(socket.AF_INET6) as service:
        assert (await service.ask("/openstack/latest/meta_data.json"))[0] == 200
        assert set(service.asked) == {"::1"}


async def test_a_door_that_closes_drops_its_connections_and_its_port(service):
    reader, writer = await asyncio.open_connection(*service.address)
    await until(lambda: service.server._doors["network:n"].talks)
    await service.server.close("network:n")
    await service.server.close("network:unknown")
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection(*service.address)
    writer.close()


async def test_a_door_that_closes_as_somebody_comes_leaves_nobody_in_it(service):
    """Whose task has not begun yet."""
    reader, writer = await asyncio.open_connection(*service.address)
    while not service.server._doors["network:n"].talks:
        await asyncio.sleep(0)
    await service.server.close("network:n")
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()


async def test_a_door_opened_anew_replaces_the_old_one(service):
    fresh = socket.create_server(("127.0.0.1", 0))
    old, service.address = service.address, fresh.getsockname()
    await service.server.open("network:n", fresh, lambda _peer: "other")
    assert (await service.ask("/latest/meta-data/hostname"))[1] == b"victim"
    with pytest.raises(OSError, match=r"refused|Connect"):
        await asyncio.open_connection(*old)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_no_bytes_whatever_bring_it_down(noise):
    async def one() -> None:
        async with Service() as service:
            await service.raw(noise + b"\r\n\r\n")
            assert (await service.ask("/latest/meta-data/hostname"))[1] == b"web.novalocal"

    asyncio.run(one())


def test_ec2_numbers_every_key():
    two = InstanceMetadata(
        server_id="s",
        project_id="p",
        name="n",
        hostname="n",
        availability_zone="z",
        public_keys={"a": "1", "b": "2"},
    )
    assert ec2_meta_data(two, "latest")["public-keys"] == {
        "0": {"openssh-key": "1"},
        "1": {"openssh-key": "2"},
    }
