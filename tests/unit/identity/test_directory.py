# SPDX-License-Identifier: Apache-2.0
"""How entries of a directory are understood: who is enabled, what a name may hold, which addresses are one.

With a real directory the same is told in tests/story/identity/test_directories.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.dn import escape_rdn

from skyhold.identity.drivers import ldap
from skyhold.identity.logic import directory
from skyhold.identity.logic.directory import Plan, address, escaped, is_enabled, public_id, understand


def plan(**options: Any) -> Plan:
    return understand(options)


def enabled(value: str | None, **options: Any) -> bool:
    return is_enabled(plan(**options).options, value)


@pytest.mark.parametrize("text", ["FALSE", "false", "False", "0", "no", "off", "F"])
def test_ossa_2026_007_no_spelling_of_false_is_enabled(text: str) -> None:
    assert not enabled(text)
    assert enabled(text, user_enabled_invert=True)


@pytest.mark.parametrize("text", ["TRUE", "true", "1", "yes", "on"])
def test_every_spelling_of_true_is_enabled(text: str) -> None:
    assert enabled(text)
    assert not enabled(text, user_enabled_invert=True)


@pytest.mark.parametrize("text", ["", "perhaps", "TRUE FALSE", "2", "None"])
def test_what_is_neither_is_disabled_either_way(text: str) -> None:
    assert not enabled(text)
    assert not enabled(text, user_enabled_invert=True)


@given(st.integers(0, 2**20), st.sampled_from([1, 2, 4, 512, 6]))
def test_a_mask_disables_whoever_has_all_its_bits(value: int, mask: int) -> None:
    assert enabled(str(value), user_enabled_mask=mask) == (value & mask != mask)


def test_a_default_counts_where_nothing_is_said() -> None:
    assert enabled(None) and not enabled(None, user_enabled_default="False")
    assert not enabled(None, user_enabled_default="nonsense")


@given(st.text())
def test_an_escaped_text_has_no_letter_that_means_anything(text: str) -> None:
    kept = escaped(text)
    assert not set(kept) & set("*()\0")
    for letter, code in directory.SPECIAL.items():
        if letter != "\\":
            kept = kept.replace(code, letter)
    assert kept.replace(r"\5c", "\\") == text


def test_a_filter_holds_the_operators_own() -> None:
    assert directory.entries("person", None, uid="a*b") == r"(&(objectClass=person)(uid=a\2ab))"
    assert directory.entries("person", "x=y") == "(&(objectClass=person)(x=y))"
    assert directory.entries("person", "(|(x=y)(x=z))") == "(&(objectClass=person)(|(x=y)(x=z)))"


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs", "Cc"]), min_size=1)


@given(NAMES, NAMES)
def test_addresses_are_one_when_only_case_and_blanks_between_parts_differ(one: str, two: str) -> None:
    left = f"uid={escape_rdn(one)},ou=Users,dc=test"
    right = f"UID={escape_rdn(two)} , OU=users,DC=Test"
    if one.strip() == one and two.strip() == two:
        assert (address(left) == address(right)) == (one.casefold() == two.casefold())


def test_an_escaped_comma_is_no_end_of_a_part() -> None:
    assert address(r"cn=a\, b,dc=test") != address(r"cn=a\,b,dc=test")
    assert address(r"cn=a\\, dc=test") == address(r"cn=a\\,dc=test")


def test_ids_are_the_same_for_ever_and_nobody_elses() -> None:
    assert public_id("d", "user", "Alice") == public_id("d", "user", "alice")
    assert len({public_id(d, k, i) for d in "de" for k in ("user", "group") for i in "ab"}) == 8


@pytest.mark.parametrize("options", [
    {"url": "http://x"}, {"url": "ldap://"}, {"url": "ldap://h:port"}, {"url": "ldap://a, "}, {"page_size": "many"},
    {"use_tls": "maybe"}, {"query_scope": "all"}, {"tls_req_cert": "x"}, {"user_attribute_ignore": 5},
])
def test_what_can_not_be_used_is_said_in_words(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"ldap.{next(iter(options))}"):
        plan(**options)


def test_several_servers_are_kept_in_their_order() -> None:
    assert plan(url="ldap://a, ldaps://b,ldap://c:1389").servers == (
        ("a", 389, False), ("b", 636, True), ("c", 1389, False)
    )


def entry(**attributes: list[bytes]) -> directory.Entry:
    return "uid=x", attributes


def test_an_entry_without_an_id_or_with_a_huge_one_is_nobody() -> None:
    assert directory.person(plan(), entry(sn=[b"x"])) is None
    assert directory.person(plan(), entry(cn=[b"x" * 256], sn=[b"x"])) is None
    assert directory.person(plan(), entry(cn=[b" "], sn=[b"x"])) is None


def test_an_id_that_is_no_text_is_its_digits() -> None:
    found = directory.person(plan(user_id_attribute="objectGUID"), entry(objectguid=[b"\xff\x00"], sn=[b"x"]))
    assert found is not None and found.local_id == "ff00"


def test_ignored_attributes_are_left_out() -> None:
    options = {"user_attribute_ignore": "mail,enabled", "user_enabled_default": "False"}
    found = directory.person(plan(**options), entry(cn=[b"x"], sn=[b"x"], mail=[b"m"]))
    assert found is not None and found.enabled and "email" not in found.extra


def test_mapped_attributes_never_stand_for_our_own() -> None:
    pairs = ["title:title", "mail:id", "mail:enabled", "mail:", "nothing:else"]
    assert directory.mapped(entry(title=[b"Dr"], mail=[b"m"]), pairs) == {"title": "Dr"}


class Endless:
    """A directory that has always one more page."""

    result = {"result": 0, "controls": {"1.2.840.113556.1.4.319": {"value": {"cookie": b"more"}}}}
    response = ()

    def __init__(self) -> None:
        self.asked = 0

    def search(self, *args: Any, **kw: Any) -> None:
        self.asked += 1


def test_pages_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked stops waiting by itself; the thread would go on for ever, and its memory grow."""
    monkeypatch.setattr(ldap, "LONG_S", 0.05)
    endless = Endless()
    with pytest.raises(ValueError, match="does not end"):
        ldap.LdapDirectory({})._search(endless, "ou=people", "(objectClass=*)", ["cn"])
    assert endless.asked > 1
