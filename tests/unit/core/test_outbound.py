# SPDX-License-Identifier: Apache-2.0
"""The outbound client: where users' URLs may lead, however they are spelled and redirected.

Servers here are real ones on loopback, which is private: tests that must reach them allow just that range
or address. Names are resolved by a table in place of the system's resolver, so no test leaves the machine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from skyhold.core import errors
from skyhold.core.outbound import Outbound, Refused, Unreachable, is_own, literal
from skyhold.core.settings.sections import Http
from skyhold.core.settings.sections import Outbound as OutboundSettings
from skyhold.core.settings.whole import Settings, SettingsError


def client(tmp_path: Path, *allow: str, public_url: str = "") -> Outbound:
    return Outbound(Settings(
        home=tmp_path, outbound=OutboundSettings(allow=list(allow)), http=Http(public_url=public_url)
    ))


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Any]) -> AsyncIterator[tuple[int, list[web.Request]]]:
    """A port on 127.0.0.1, and every request that came to it."""
    seen: list[web.Request] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        await request.read()
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1], seen  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


async def ok(request: web.Request) -> web.Response:
    return web.Response(text="hello")


def names(monkeypatch: pytest.MonkeyPatch, table: dict[str, list[str]]) -> list[str]:
    """Resolve by this table; the returned list holds every name asked for."""
    asked: list[str] = []

    async def resolve(self: Any, host: str, port: int, **kw: Any) -> Any:
        asked.append(host)
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        address = table[host][min(asked.count(host), len(table[host])) - 1]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", resolve, raising=False)
    return asked


ODD_SPELLINGS = [
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/",
    "http://127.0.0.1./", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/",
    "http://0/", "http://0.0.0.0/", "http://[::]/", "http://[::1]/", "http://[fe80::1%25eth0]/",
    "http://0X7F.0X1/", "http://%31%32%37.0.0.1/", "http://127%2e0%2e0%2e1/", "http://①②⑦.0.0.1/",
    "http://127。0。0。1/", "http://localhost./", "http://user@127.0.0.1/", "http://127.0.0.1:80@example.org/",
    "http://example.org\\@127.0.0.1/", "http://127.0.0.1\t/", "http://1.2.3.04/", "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/", "http:///etc/passwd", "http://", "http://a..b/", "http://-a.b/", "http://a:0/",
    "http://a:99999/", "http://[::1", "http://0x/", "http://256.1.1.1/",
]


@pytest.mark.parametrize("url", ODD_SPELLINGS)
def test_cve_2026_34881_odd_spellings_of_an_address_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Refused):
        client(tmp_path).check(url)


@pytest.mark.parametrize("url", [url for url in ODD_SPELLINGS if "2130706433" in url or "0x" in url or "ffff" in url])
async def test_cve_2026_34881_odd_spellings_are_refused_even_where_loopback_is_allowed(
    tmp_path: Path, url: str
) -> None:
    async with serving(ok) as (port, seen):
        with pytest.raises(Refused):
            await client(tmp_path, "127.0.0.0/8").request("GET", url.rstrip("/") + f":{port}/")
        assert seen == []


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.8",
    "192.88.99.1", "[::1]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[2001::1]",
    "[100::1]", "[64:ff9b:1::a00:1]", "[fec0::1]", "[3fff::1]",
])
def test_addresses_that_are_not_public_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(Refused):
        client(tmp_path).check(f"http://{address}/")


@pytest.mark.parametrize("url", [
    "http://8.8.8.8/", "https://1.1.1.1:8443/a?b=c", "http://[2606:4700:4700::1111]/", "https://example.org",
    "https://xn--bcher-kva.example/", "http://my_host.example.org:8080/path#x", "http://1e100.net/", "http://0xg.org/",
])
def test_public_urls_pass(tmp_path: Path, url: str) -> None:
    client(tmp_path).check(url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "gopher://x/", "//example.org/", "x", ""])
def test_cve_2025_44021_only_http_urls(tmp_path: Path, url: str) -> None:
    with pytest.raises(Refused):
        client(tmp_path).check(url)


async def test_a_name_that_means_a_private_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(ok) as (port, seen):
        for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"):
            names(monkeypatch, {"evil.example": [address]})
            with pytest.raises(Refused):
                await client(tmp_path).request("GET", f"http://evil.example:{port}/")
        assert seen == []


async def test_a_name_is_resolved_once_and_its_address_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look-up would find another address: a name server that rebinds gains nothing."""
    async with serving(ok) as (port, seen):
        asked = names(monkeypatch, {"rebind.example": ["127.0.0.1", "127.0.0.2"]})
        answer = await client(tmp_path, "127.0.0.1/32").request("GET", f"http://rebind.example:{port}/")
        assert (answer.status, answer.body) == (200, b"hello")
        assert asked == ["rebind.example"]
        assert seen[0].headers["Host"] == f"rebind.example:{port}"


async def test_the_addresses_of_this_machine_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ipaddress

    assert is_own(ipaddress.ip_address("127.0.0.1"))
    assert not is_own(ipaddress.ip_address("192.0.2.77"))
    monkeypatch.setattr("skyhold.core.outbound.is_own", lambda address: str(address) == "9.9.9.9")
    with pytest.raises(Refused, match="this cloud itself"):
        client(tmp_path).check("http://9.9.9.9/")
    with pytest.raises(Refused, match="this cloud itself"):
        client(tmp_path, public_url="https://cloud.example.org/").check("https://Cloud.Example.org/x")


async def test_cve_2026_34881_a_redirect_to_loopback_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first server may be reached, the second not: each redirect is looked at anew."""
    async with serving(ok) as (inner, secrets):
        places = [
            f"http://127.0.0.2:{inner}/", f"http://2130706434:{inner}/", f"http://[::ffff:127.0.0.2]:{inner}/",
            f"//127.0.0.2:{inner}/", f"http://inner.example:{inner}/", "file:///etc/passwd",
        ]
        for place in places:
            async def redirect(request: web.Request, place: str = place) -> web.Response:
                return web.Response(status=302, headers={"Location": place})

            async with serving(redirect) as (port, seen):
                names(monkeypatch, {"outer.example": ["127.0.0.1"], "inner.example": ["127.0.0.2"]})
                with pytest.raises(Refused):
                    await client(tmp_path, "127.0.0.1/32").request("GET", f"http://outer.example:{port}/")
                assert len(seen) == 1
        assert secrets == []


async def test_cve_2026_42997_credentials_are_not_carried_along_a_redirect(tmp_path: Path) -> None:
    async with serving(ok) as (second, got):
        async def redirect(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{second}/x", "Set-Cookie": "a=b"})

        async with serving(redirect) as (first, _):
            sent = {"X-Auth-Token": "t", "Authorization": "Basic x", "Skyhold-Signature": "v1=0", "Accept": "a/b"}
            answer = await client(tmp_path, "127.0.0.1/32").request(
                "POST", f"http://127.0.0.1:{first}/", headers=sent, body=b"{}"
            )
    assert answer.body == b"hello"
    assert got[0].method == "POST" and got[0].headers["Accept"] == "a/b"
    assert not {"X-Auth-Token", "Authorization", "Skyhold-Signature", "Cookie"} & set(got[0].headers)


async def test_redirects_are_counted_and_can_be_left_to_the_caller(tmp_path: Path) -> None:
    async def again(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/again"})

    async with serving(again) as (port, seen):
        there = client(tmp_path, "127.0.0.1/32")
        with pytest.raises(Refused, match="More than 3 redirects"):
            await there.request("GET", f"http://127.0.0.1:{port}/")
        assert len(seen) == 4
        assert (await there.request("GET", f"http://127.0.0.1:{port}/", redirects=0)).status == 302


async def test_an_answer_is_bounded_in_size_and_never_unpacked(tmp_path: Path) -> None:
    async def long(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * 65536)
        return response

    async with serving(long) as (port, _):
        there = client(tmp_path, "127.0.0.1/32")
        with pytest.raises(errors.TooLarge):
            await there.request("GET", f"http://127.0.0.1:{port}/", limit_bytes=100_000)
        whole = await there.request("GET", f"http://127.0.0.1:{port}/", limit_bytes=64 * 65536)
        assert whole.body == b"x" * 64 * 65536


async def test_an_answer_is_bounded_in_time(tmp_path: Path) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x")
            await asyncio.sleep(0.05)
        return response

    async with serving(drip) as (port, _):
        with pytest.raises(Unreachable):
            await client(tmp_path, "127.0.0.1/32").request("GET", f"http://127.0.0.1:{port}/", timeout_s=0.3)


async def test_who_is_not_there_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    names(monkeypatch, {})
    for url in (f"http://127.0.0.1:{port}/", "http://nowhere.example/"):
        with pytest.raises(Unreachable):
            await client(tmp_path, "127.0.0.1/32").request("GET", url)


def test_a_range_that_is_none_stops_the_program(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"outbound\.allow"):
        client(tmp_path, "10.0.0.1/8")


def test_an_address_has_one_plain_spelling() -> None:
    import ipaddress

    assert str(literal(ipaddress.IPv4Address, "8.8.8.8")) == "8.8.8.8"
    for text in ("8.8.8", "08.8.8.8", "8.8.8.8.", " 8.8.8.8"):
        with pytest.raises(Refused):
            literal(ipaddress.IPv4Address, text)
