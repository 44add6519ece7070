# SPDX-License-Identifier: Apache-2.0
"""What a user sees in listings (SWI-02): every parameter, alone and together, as lines, JSON and XML.

Which names are in one is decided in logic/listing.py, which tests/unit/object holds against a plain search.
"""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import pytest_asyncio

from skyhold.object.engine import objects
from tests.story.object.conftest import Account

NAMES = ["a", "a/1", "a/2", "b/", "b/x/y", "b/z", "c", "ünï", "鳥"]


@pytest_asyncio.fixture(loop_scope="session")
async def birds(account: Account) -> Account:
    await account.container()
    for name in reversed(NAMES):
        await account.put(f"birds/{name}", name.encode(), content_type="text/x")
    return account


@pytest.mark.parametrize(("query", "expected"), [
    ({}, NAMES), ({"limit": 2}, NAMES[:2]), ({"limit": 0}, []), ({"limit": "some"}, NAMES),
    ({"prefix": "a/"}, ["a/1", "a/2"]), ({"prefix": "nobody"}, []), ({"prefix": "ü"}, ["ünï"]),
    ({"marker": "a/2"}, NAMES[3:]), ({"marker": "a/15"}, NAMES[2:]), ({"end_marker": "b/"}, NAMES[:3]),
    ({"marker": "a", "end_marker": "c"}, NAMES[1:6]), ({"marker": "c", "end_marker": "a"}, []),
    ({"reverse": "true"}, NAMES[::-1]), ({"reverse": "on", "marker": "b/", "limit": 2}, ["a/2", "a/1"]),
    ({"reverse": "1", "end_marker": "b/z"}, ["鳥", "ünï", "c"]),
    ({"delimiter": "/"}, ["a", "a/", "b/", "c", "ünï", "鳥"]),
    ({"delimiter": "/", "limit": 2}, ["a", "a/"]),
    ({"delimiter": "/", "marker": "a/"}, ["b/", "c", "ünï", "鳥"]),
    ({"delimiter": "/", "prefix": "b/"}, ["b/", "b/x/", "b/z"]),
    ({"delimiter": "/", "reverse": "yes"}, ["鳥", "ünï", "c", "b/", "a/", "a"]),
    ({"delimiter": "/", "reverse": "yes", "marker": "b/"}, ["a/", "a"]),
    ({"delimiter": "ï"}, [*NAMES[:7], "ünï", "鳥"]), ({"delimiter": "/x"}, ["a", "a/1", "a/2", "b/", "b/x", "b/z",
                                                                         "c", "ünï", "鳥"]),
    ({"path": ""}, ["a", "b/", "c", "ünï", "鳥"]), ({"path": "a"}, ["a/1", "a/2"]), ({"path": "b/"}, ["b/z"]),
    ({"path": "b/x"}, ["b/x/y"]),
])
async def test_swi_02_a_listing(birds: Account, query: dict[str, str], expected: list[str]) -> None:
    assert await birds.names("birds", **query) == expected
    plain = await birds.ask("GET", "birds", 200 if expected else 204, query=query)
    assert plain.body.decode() == "".join(f"{name}\n" for name in expected)
    assert plain.headers["x-container-object-count"] == str(len(NAMES))


async def test_pages_are_the_whole(birds: Account) -> None:
    for more in ({}, {"reverse": "true"}, {"delimiter": "/"}, {"delimiter": "/", "reverse": "true"}):
        whole, pieces = await birds.names("birds", **more), list[str]()
        while page := await birds.names("birds", limit=2, marker=pieces[-1] if pieces else "", **more):
            pieces += page
        assert pieces == whole


async def test_what_json_and_xml_say(birds: Account) -> None:
    told = (await birds.ask("GET", "birds", 200, query={"format": "json", "delimiter": "/"})).json
    assert told[1] == {"subdir": "a/"}
    assert told[0].keys() == {"name", "hash", "bytes", "content_type", "last_modified"}
    assert told[0]["bytes"] == 1 and told[0]["content_type"] == "text/x"
    answer = await birds.ask("GET", "birds", 200, query={"format": "xml", "delimiter": "/"})
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    tree = ET.fromstring(answer.body)
    assert tree.tag == "container" and tree.attrib == {"name": "birds"}
    assert [each.tag for each in tree] == ["object", "subdir", "subdir", "object", "object", "object"]
    assert [each.findtext("name") for each in tree] == ["a", "a/", "b/", "c", "ünï", "鳥"]


async def test_markup_and_control_characters_in_names(account: Account) -> None:
    for name in ("<a&b>", "bell\x07", 'quote"d'):
        await account.container(name)
        await account.put(f"{name}/{name}/x")
        for path in ("", name):
            tree = ET.fromstring((await account.ask("GET", path, 200, query={"format": "xml", "delimiter": "/"})).body)
            assert len(tree) >= 1
        assert await account.names(name) == [f"{name}/x"]


@pytest.mark.parametrize(("accept", "kind"), [
    ("application/json", "application/json"), ("text/xml", "application/xml"), ("*/*", "text/plain"),
    ("application/xml;q=0.5, application/json;q=0.9", "application/json"), ("text/*", "text/plain"), ("", "text/plain"),
])
async def test_the_form_follows_accept(birds: Account, accept: str, kind: str) -> None:
    for path in ("", "birds"):
        answer = await birds.ask("GET", path, 200, Accept=accept or "*/*")
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        await birds.ask("GET", path, 406, Accept="image/png")


async def test_an_account_lists_its_containers(account: Account) -> None:
    assert (await account.ask("GET", "", 204)).body == b""
    for name in ("crows", "jays", "rooks", "ünï"):
        await account.container(name)
    await account.put("crows/one", b"12345")
    assert await account.names() == ["crows", "jays", "rooks", "ünï"]
    assert await account.names(limit=2, marker="crows") == ["jays", "rooks"]
    assert await account.names(prefix="j") == ["jays"] and await account.names(end_marker="jays") == ["crows"]
    assert await account.names(reverse="true") == ["ünï", "rooks", "jays", "crows"]
    told = (await account.ask("GET", "", 200, query={"format": "json"})).json[0]
    assert (told["name"], told["count"], told["bytes"]) == ("crows", 1, 5) and told["last_modified"]
    tree = ET.fromstring((await account.ask("GET", "", 200, query={"format": "xml"})).body)
    assert tree.attrib == {"name": f"AUTH_{account.project_id}"}
    assert [each.findtext("count") for each in tree] == ["1", "0", "0", "0"]


async def test_a_limit_beyond_the_longest(birds: Account) -> None:
    for path in ("", "birds"):
        for limit in ("10001", "9" * 40):
            assert b"Maximum limit" in (await birds.ask("GET", path, 412, query={"limit": limit})).body
        await birds.ask("GET", path, 400, query={"prefix": "nul\0"})


async def test_a_long_listing_leaves_the_event_loop(birds: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database reads in it."""
    threads = []
    page = objects.page

    def seen(*args: Any, **kw: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return page(*args, **kw)

    monkeypatch.setattr(objects, "page", seen)
    for limit in (None, 101, 100, 1):
        query = {} if limit is None else {"limit": limit}
        assert await birds.names("birds", **query) == NAMES[:limit]
    sqlite = birds.cloud.core.db.name == "sqlite"
    assert threads == [not sqlite, not sqlite, True, True]
