# SPDX-License-Identifier: Apache-2.0
"""The language of containers' access lists: what is written, in which form it is kept, and whom it admits.

What comes of it is tests/story/object/test_access.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.object.logic import acl
from skyhold.object.logic.acl import Caller, admits, normal

CROW = Caller(user_id="crow", project_id="birds", user_name="Carl", project_name="Corvids", roles={"member", "Singer"})
NOBODY = Caller()


@pytest.mark.parametrize(("text", "kept"), [
    ("", ""), (" , ,", ""), (" a:b , c ", "a:b,c"), (".r:*", ".r:*"), (".referer : *", ".r:*"), (".ref:*.x", ".r:.x"),
    (".referrer:- bad.x", ".r:-bad.x"), (".r:-*.x,.rlistings", ".r:-.x,.rlistings"), ("*:*", "*:*"),
])
def test_the_normal_form(text: str, kept: str) -> None:
    assert normal(text, write=False) == kept
    assert normal(kept, write=False) == kept


@pytest.mark.parametrize("text", [".r:", ".r: ", ".r:-", ".r:*.", ".x:y", "x" * 9000])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid):
        normal(text, write=False)


def test_a_write_list_knows_no_websites() -> None:
    with pytest.raises(errors.Invalid):
        normal(".r:*", write=True)
    assert normal("a:b,role", write=True) == "a:b,role"


@pytest.mark.parametrize(("text", "yes"), [
    ("birds:crow", True), ("*:crow", True), ("birds:*", True), ("*:*", True), ("birds:rook", False),
    ("cats:crow", False), ("birds", False), ("Corvids:Carl", False), ("singer", False), (":crow", False), ("", False),
])
def test_projects_and_users(text: str, yes: bool) -> None:
    assert admits(text, CROW, listing=True) is yes
    assert not admits(text, NOBODY, listing=False), "who has no credentials is in no list of names"


def test_names_and_roles_where_they_may_be_meant() -> None:
    named = Caller(user_id="crow", project_id="birds", user_name="Carl", project_name="Corvids", names=True)
    assert admits("Corvids:Carl", named, listing=True) and admits("birds:Carl", named, listing=True)
    home = Caller(user_id="crow", project_id="birds", roles={"Singer"}, at_home=True)
    assert admits("x,SINGER", home, listing=True) and not admits("x:singer", home, listing=True)


@pytest.mark.parametrize(("text", "referrer", "yes"), [
    (".r:*", "", True), (".r:crow.test", "http://crow.test/x", True), (".r:crow.test", "http://www.crow.test/x", False),
    (".r:.crow.test", "https://www.crow.test:8/x", True), (".r:*,.r:-bad.test", "http://bad.test", False),
    (".r:-bad.test,.r:*", "http://bad.test", True), (".r:crow.test", "", False), (".r:crow.test", "http://[", False),
    (".r:unknown", "", True),
])
def test_websites(text: str, referrer: str, yes: bool) -> None:
    caller = Caller(referrer=referrer)
    assert admits(text, caller, listing=False) is yes
    assert not admits(text, caller, listing=True)
    assert admits(text + ",.rlistings", caller, listing=True) is yes


@given(st.text(max_size=60), st.text(max_size=30))
def test_no_text_is_too_odd(text: str, referrer: str) -> None:
    try:
        kept = normal(text, write=False)
    except errors.Invalid:
        return
    admits(kept, Caller(user_id="u", project_id="p", referrer=referrer), listing=True)
    assert acl.normal(kept, write=False) == kept
