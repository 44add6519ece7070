# SPDX-License-Identifier: Apache-2.0
"""The one HTTP client for whatever a user can aim: webhooks, web-download, subscriptions, alarms.

What is sent and how often it is tried again is each caller's business; calls between parts of this cloud
don't go through here. The one thing to know first: a name is resolved once and the connection is made to
that very address, which must be public unless the setting `outbound.allow` names its range.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, urljoin, urlsplit

from skyhold.core import errors
from skyhold.core.settings.whole import Settings, SettingsError

if TYPE_CHECKING:
    # Loaded with the first request: a control plane starts without it.
    import aiohttp
    from aiohttp.abc import ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Range = ipaddress.IPv4Network | ipaddress.IPv6Network

TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 1024 * 1024
URL_LIMIT = 2048
CHUNK_BYTES = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
KEPT_ACROSS_REDIRECTS = frozenset({"accept", "content-type", "user-agent"})
"""Everything else may be a credential, and a redirect is chosen by whoever answers."""

HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
# What `is_global` of some Python releases lets through, and ranges whose addresses carry another one.
NEVER = tuple(ipaddress.ip_network(text) for text in (
    "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3",
    "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
    "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/9", "ff00::/8",
))


class Refused(errors.Invalid):
    """This URL is none that a user may aim at; says which part and why."""

    reason = "url_refused"


class Unreachable(errors.Unavailable):
    """The other side was not there, spoke no HTTP, or took too long."""

    reason = "url_unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Streaming:
    """`chunks` raises TooLarge beyond the limit of the request, and Unreachable."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Outbound:
    """Holds no connection: each request has one of its own, closed with it."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = [allowed_range(text) for text in settings.outbound.allow]
        self._own_name = (urlsplit(settings.public_url).hostname or "").lower()

    def check(self, url: str) -> None:
        """Refused for what can be told without resolving its name: call it when a user stores a URL."""
        self._target(url)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None,
        redirects: int = 3, timeout_s: float = TIMEOUT_S, limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        """Ask and read the whole answer. Raises Refused, Unreachable, TooLarge.

        `timeout_s` bounds all of it, redirects included; `redirects=0` returns a redirect as the answer.
        """
        try:
            async with asyncio.timeout(timeout_s), self.stream(
                method, url, headers=headers, body=body, redirects=redirects, limit_bytes=limit_bytes,
            ) as found:
                return Answer(found.status, found.headers, b"".join([chunk async for chunk in found.chunks]))
        except TimeoutError:
            raise Unreachable(f"No answer within {timeout_s:g} seconds.", reason="url_timeout") from None

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None,
        redirects: int = 3, stall_s: float = TIMEOUT_S, limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> AsyncIterator[Streaming]:
        """The answer in chunks; each wait for the other side is at most `stall_s`."""
        import aiohttp

        sent = dict(headers or {})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=stall_s, sock_read=stall_s)
        session = aiohttp.ClientSession(
            connector=self._connector(stall_s), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False,
            auto_decompress=False, timeout=timeout, skip_auto_headers={"Accept-Encoding"},
        )
        async with session:
            for left in range(redirects, -1, -1):
                target = self._target(url)
                answer = await self._ask(session, method, target, sent, body)
                place = answer.headers.get("Location")
                if answer.status not in REDIRECTS or not place or redirects == 0:
                    yield Streaming(answer.status, answer.headers, bounded(answer, limit_bytes))
                    return
                answer.close()
                if left == 0:
                    raise Refused(f"More than {redirects} redirects.", reason="too_many_redirects")
                url = self._redirected(target, place)
                sent = {name: value for name, value in sent.items() if name.lower() in KEPT_ACROSS_REDIRECTS}
                if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                    method, body = "HEAD" if method == "HEAD" else "GET", None

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, target: SplitResult, headers: Mapping[str, str],
        body: bytes | None,
    ) -> aiohttp.ClientResponse:
        import aiohttp

        told = {"Accept-Encoding": "identity", "User-Agent": "Skyhold", **headers}
        try:
            return await session.request(
                method, target.geturl(), headers=told, data=body, allow_redirects=False
            )
        except TimeoutError:
            raise Unreachable("No answer in time.", reason="url_timeout") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise refusal_in(error) or Unreachable(f"{target.hostname} could not be reached.") from None

    def _redirected(self, before: SplitResult, place: str) -> str:
        url = urljoin(before.geturl(), place)
        if before.scheme == "https" and urlsplit(url).scheme != "https":
            raise Refused("A redirect leads from https to something else.")
        return url

    def _connector(self, stall_s: float) -> aiohttp.TCPConnector:
        import aiohttp
        from aiohttp.abc import AbstractResolver

        def make_socket(info: Any) -> socket.socket:
            # The last gate, which literal addresses pass as well.
            self._permit(ipaddress.ip_address(info[4][0]))
            return socket.socket(info[0], info[1], info[2])

        # One by what it does and not by inheritance, which would load aiohttp at the start.
        resolver = cast(AbstractResolver, CheckedResolver(self._permit, stall_s))
        return aiohttp.TCPConnector(
            resolver=resolver, use_dns_cache=False, force_close=True,
            socket_factory=make_socket, limit=1,
        )

    # ---- what may be aimed at ----------------------------------------------------------------

    def _target(self, url: str) -> SplitResult:
        """The URL's parts, when it is spelled as an honest one is."""
        if len(url) > URL_LIMIT or not url.isascii() or not url.isprintable() or set(url) & set(" \\<>\"^`{|}"):
            raise Refused("The URL is too long, or has characters that a URL can't have.")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Refused("The URL can't be understood.") from None
        if parts.scheme not in ("http", "https"):
            raise Refused("Only http and https URLs can be used.")
        if parts.username is not None or parts.password is not None:
            raise Refused("A URL with a user name or password can't be used.")
        if port == 0:
            raise Refused("There is no port 0.")
        self._check_host(parts)
        return parts

    def _check_host(self, parts: SplitResult) -> None:
        host = parts.hostname or ""
        if "[" in parts.netloc:
            self._permit(literal(ipaddress.IPv6Address, host))
        elif NUMERIC.fullmatch(host.rpartition(".")[2]):
            # A host that ends in a number is an address to every client; only one spelling is plain.
            self._permit(literal(ipaddress.IPv4Address, host))
        elif not HOST_NAME.fullmatch(host):
            raise Refused(f"{host[:80]!r} is no name of a host.")
        elif host == self._own_name:
            raise Refused(f"{host} is this cloud itself.")

    def _permit(self, address: Address) -> None:
        inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        address = inner or address
        if any(address in each for each in self._allowed if each.version == address.version):
            return
        if not address.is_global or any(address in each for each in NEVER if each.version == address.version):
            raise Refused(f"{address} is not a public address.", reason="address_refused")
        if is_own(address):
            raise Refused(f"{address} is this cloud itself.", reason="address_refused")


class CheckedResolver:
    """Asks the system once a connection; one address that is not permitted refuses the name, for a name
    that means both a public and a private place is a trap."""

    def __init__(self, permit: Callable[[Address], None], timeout_s: float) -> None:
        self._permit, self._timeout_s = permit, timeout_s

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        async with asyncio.timeout(self._timeout_s):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, family=family, type=socket.SOCK_STREAM
            )
        for *_, place in found:
            self._permit(ipaddress.ip_address(place[0]))
        return [
            {"hostname": host, "host": str(place[0]), "port": port, "family": kind, "proto": proto,
             "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV}
            for kind, _, proto, _, place in found
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


def allowed_range(text: str) -> Range:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsError(f"outbound.allow: {error}") from None


def literal(kind: type[Address], host: str) -> Address:
    """Refused for spellings that some programs read as an address and others don't."""
    try:
        address = kind(host)
    except ValueError:
        raise Refused(f"{host[:80]!r} is an odd way to write an address.", reason="address_refused") from None
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        raise Refused(f"{host[:80]!r} is an odd way to write an address.", reason="address_refused")
    return address


def is_own(address: Address) -> bool:
    """Whether this machine has it: what it sends to itself comes from the very same address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: a datagram socket only looks up the route.
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0]) == address


def refusal_in(error: BaseException | None) -> Refused | None:
    """The HTTP client wraps what its resolver and its sockets raise."""
    while error is not None and not isinstance(error, Refused):
        error = error.__cause__ or error.__context__
    return error


async def bounded(answer: aiohttp.ClientResponse, limit_bytes: int) -> AsyncIterator[bytes]:
    import aiohttp

    total = 0
    try:
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            total += len(chunk)
            if total > limit_bytes:
                raise errors.TooLarge(f"The answer is longer than {limit_bytes} bytes.", limit_bytes=limit_bytes)
            yield chunk
    except TimeoutError:
        raise Unreachable("The answer stopped coming.", reason="url_timeout") from None
    except aiohttp.ClientError:
        raise Unreachable("The answer broke off.") from None
