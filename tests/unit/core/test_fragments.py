# SPDX-License-Identifier: Apache-2.0
"""Fragments of lists: whose they are, when they are made anew, and that they stay within their bound."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core.context import Context, Credentials
from skyhold.core.fragments import KEPT_BYTES, Fragments, fragments
from skyhold.core.shapes import Page, Rendered, Shape, collection, field, writer
from skyhold.core.versions import Version

RULE = "thing:secret"
OLD, NEW = Version(2, 1), Version(2, 9)


class Thing(Shape):
    name: str
    new: str = field(since="2.5")
    hidden: str = field(policy=RULE)


class Policy:
    """Administrators may see everything."""

    def allows(self, rule: str, creds: Credentials) -> bool:
        return "admin" in creds.roles


class Core:
    def __init__(self) -> None:
        self.policy = Policy()
        self.shelf: dict[str, Any] = {}


def caller(version: Version = NEW, *roles: str) -> Context:
    return Context(cast(Any, Core()), Credentials(roles=frozenset(roles)), version=version)


def thing(name: str) -> Thing:
    return Thing(name=name, new="n", hidden="h")


def test_a_fragment_is_what_the_writer_would_write() -> None:
    kept = Fragments(Thing)
    made = kept.seen_by(caller()).make("1", (1,), thing("é\n\""))
    assert orjson.loads(made) == {"name": "é\n\"", "new": "n"}
    assert kept.seen_by(caller()).get("1", (1,)) == made


@pytest.mark.parametrize("other", [caller(OLD), caller(NEW, "admin"), caller(OLD, "admin")])
def test_another_version_or_right_has_another_fragment(other: Context) -> None:
    kept = Fragments(Thing)
    kept.seen_by(caller()).make("1", (1,), thing("a"))
    assert kept.seen_by(other).get("1", (1,)) is None
    kept.seen_by(other).make("1", (1,), thing("b"))
    assert orjson.loads(kept.seen_by(caller()).get("1", (1,)) or b"")["name"] == "a"


def test_what_was_made_of_something_else_is_not_given() -> None:
    kept = Fragments(Thing).seen_by(caller())
    kept.make("1", (1, ("tag",)), thing("a"))
    assert kept.get("1", (2, ("tag",))) is None
    assert kept.get("1", (1, ())) is None
    kept.make("1", (2, ()), thing("b"))
    assert orjson.loads(kept.get("1", (2, ())) or b"")["name"] == "b"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 4000)), max_size=120))
def test_they_never_take_more_than_their_bound(asked: list[tuple[int, int, int]]) -> None:
    most = 40_000
    kept = Fragments(Thing, most)
    seen = kept.seen_by(caller())
    for id, revision, length in asked:
        name = "x" * length
        given_back = seen.get(str(id), revision)
        if given_back is None:
            seen.make(str(id), revision, thing(name))
        both = [*kept._young.values(), *kept._old.values()]
        assert sum(len(one.text) + KEPT_BYTES for one in both) <= most + 2 * (4100 + KEPT_BYTES)


def test_what_is_asked_for_stays_and_what_is_not_goes() -> None:
    kept = Fragments(Thing, 20 * (KEPT_BYTES + 50))
    seen = kept.seen_by(caller())
    seen.make("wanted", 1, thing("a"))
    seen.make("forgotten", 1, thing("a"))
    for number in range(100):
        seen.make(str(number), 1, thing("a"))
        assert seen.get("wanted", 1) is not None
    assert seen.get("forgotten", 1) is None


def test_a_page_of_fragments_is_written_as_it_is() -> None:
    body = collection("things", Thing, links="things_links")
    page = Page(Rendered([b'{"name":"a"}', b'{"name":"b"}']), [{"rel": "next"}])
    assert orjson.loads(orjson.dumps(writer(body, NEW)(page))) == {
        "things": [{"name": "a"}, {"name": "b"}], "things_links": [{"rel": "next"}],
    }
    assert orjson.loads(orjson.dumps(writer(body, NEW)(Page(Rendered())))) == {"things": []}


def test_a_process_has_one_of_a_name() -> None:
    core = cast(Any, Core())
    assert fragments(core, "things", Thing) is fragments(core, "things", Thing)
