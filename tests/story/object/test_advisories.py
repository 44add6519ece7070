# SPDX-License-Identifier: Apache-2.0
"""What went wrong in Swift, tried on this store; the table of all advisories is docs/security.md.

Whoever else may read or write is test_access.py, headers that only make no sense are test_objects.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from skyhold.core import outbound
from tests.kit.cloud import Persona
from tests.story.object.conftest import Account

LONG = 7000
ANSWERED_S = 0.5
"""A hundred times what a listing takes; a search that goes back and forth takes minutes."""


@pytest.mark.parametrize("accept", [
    "a/" * (LONG // 2), "text/plain" + ";" * LONG, "text/plain" + ";a=b" * (LONG // 4), " " * LONG + "x", "*" * LONG,
    'text/plain;a="' + "\\\\" * (LONG // 2), 'text/plain;a="' + '\\"' * (LONG // 2), "a;" * (LONG // 2) + "!",
    "text/plain;q=" + "1" * LONG, "text/plain, " * (LONG // 12), "a/a;q=0." + "9" * LONG, "\t" * LONG + "," + " " * 50,
])
async def test_cve_2026_71190_no_accept_header_holds_the_process(account: Account, accept: str) -> None:
    await account.container()
    await account.put("birds/crow")
    for path in ("", "birds", "birds/crow"):
        for method in ("GET", "HEAD"):
            began = time.perf_counter()
            answer = await account.ask(method, path, Accept=accept)
            assert time.perf_counter() - began < ANSWERED_S
            assert answer.status in (200, 204, 406)


AIMED_AT = "127.77.7.7"
AIMED = (
    "X-Container-Sync-To", "X-Copy-From", "Destination", "X-Copy-From-Account", "Destination-Account",
    "X-Symlink-Target", "X-Object-Manifest", "X-Versions-Location", "X-Container-Host",
    "X-Container-Partition", "X-Container-Device", "X-Account-Host", "X-Delete-At-Host",
    "X-Delete-At-Container", "X-Backend-Redirect", "X-Backend-Container-Path",
    "X-Backend-Storage-Policy-Index", "X-Backend-Node-Index", "X-Timestamp", "Host", "X-Forwarded-Host",
    "Forwarded", "X-Original-Url", "Location", "Referer", "Origin", "X-Container-Meta-Quota-Bytes",
    "X-Storage-Token",
)


async def test_cve_2026_50221_no_header_makes_the_store_ask_another_place(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers that Swift's own parts speak to each other by came from clients.

    The address is nobody else's: deliveries of other stories' webhooks go on meanwhile.
    """
    asked: list[object] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))
        writer.close()

    def noted(ask: Callable[..., Any]) -> Callable[..., Any]:
        def look(*words: object) -> Any:
            if AIMED_AT in words:
                asked.append(words)
            return ask(*words)
        return look

    monkeypatch.setattr(outbound.CheckedResolver, "resolve", noted(outbound.CheckedResolver.resolve))
    monkeypatch.setattr(outbound, "literal", noted(outbound.literal))
    await account.container()
    await account.put("birds/crow")
    async with await asyncio.start_server(answer, AIMED_AT, 0) as listening:
        host = "{}:{}".format(*listening.sockets[0].getsockname())
        for name in AIMED:
            for value in (host, f"http://{host}/birds/crow", f"//{host}/1/birds"):
                for method in ("PUT", "POST", "GET", "COPY"):
                    body = b"caw" if method == "PUT" and not name.startswith("X-Copy") else None
                    for path in ("birds/raven", "birds", ""):
                        await account.ask(method, path, body=body if path == "birds/raven" else None, **{name: value})
        await asyncio.sleep(0)
    assert asked == []


@pytest.mark.parametrize("name", [
    "X-Backend-Container-Update-Override-Etag", "X-Backend-Storage-Policy-Index", "X-Backend-Allow-Private-Methods",
    "X-Object-Sysmeta-Owner", "X-Container-Sysmeta-Acl", "X-Account-Sysmeta-Core-Access-Control",
    "X-Object-Transient-Sysmeta-A", "X-Backend-Etag-Is-At", "X-Timestamp", "X-Put-Timestamp",
])
async def test_cve_2026_71192_headers_of_the_stores_own_parts_say_nothing(
    account: Account, stranger: Persona, name: str
) -> None:
    """Neither kept nor shown, and no way in for somebody else."""
    lie = {name: "4102444800.00000"}
    await account.container(**lie)
    await account.put("birds/crow", **lie)
    await account.ask("POST", "birds/crow", 202, **lie)
    for path in ("", "birds", "birds/crow"):
        heads = await account.head(path, **lie)
        assert "4102444800.00000" not in heads.values() and not any("sysmeta" in head for head in heads)
    for method in ("GET", "PUT", "POST", "DELETE"):
        await account.to(stranger).ask(method, "birds/crow", 403, body=b"" if method == "PUT" else None, **lie)


async def test_cve_2022_47950_no_document_is_read_and_so_no_entity(account: Account) -> None:
    """What is XML is only ever written here: a body stays the bytes it is, whatever its type claims."""
    entity = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    await account.container()
    await account.put("birds/crow", entity, Content_Type="application/xml")
    assert (await account.get("birds/crow")).body == entity
    for method, path in (("POST", ""), ("POST", "birds"), ("PUT", "birds"), ("DELETE", "birds/none")):
        answer = await account.ask(method, path, body=entity, Content_Type="application/xml")
        assert answer.status < 500 and b"root:" not in answer.body


async def test_an_object_holds_no_byte_of_what_was_there_before(account: Account) -> None:
    await account.container()
    for words in (b"x" * 300_000, b"short", b""):
        await account.put("birds/crow", words)
        assert (await account.get("birds/crow")).body == words
    await account.ask("GET", "birds/crow", 416, Range="bytes=0-")
    await account.put("birds/crow", b"12345")
    assert (await account.ask("GET", "birds/crow", 206, Range="bytes=-300000")).body == b"12345"
