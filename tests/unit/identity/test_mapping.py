# SPDX-License-Identifier: Apache-2.0
"""What mappings make of assertions: the examples of Keystone's page on them, and what must never happen.

Mappings over the API are tests/story/identity/test_federation.py.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.identity.logic.mapping import VERSIONS, Domain, Group, Outcome, Project, User, parse

NAMED = {"user": {"name": "{0}"}}
FIRST = {"type": "UserName"}
JOE = {"UserName": ["joe"]}


def apply(rules: list[Any], assertion: dict[str, list[str]], version: str = "1.0") -> Outcome:
    return parse(rules, version).apply(assertion)


def rule(local: Any, *remote: Any) -> dict[str, Any]:
    return {"local": local if isinstance(local, list) else [local], "remote": list(remote)}


def user(name: str | None = None, **more: Any) -> User:
    values: dict[str, Any] = {"id": None, "email": None, "domain": None, "local": False}
    return User(name=name, **(values | more))


def test_names_are_put_together_and_groups_are_named() -> None:
    local = {"user": {"name": "{0} {1}", "email": "{2}"}, "group": {"name": "{3}", "domain": {"id": "0cd5e9"}}}
    remote = [{"type": each} for each in ("FirstName", "LastName", "Email", "OIDC_GROUPS")]
    said = {"FirstName": ["Ann"], "LastName": ["Lee"], "Email": ["a@x.org"], "OIDC_GROUPS": ["developers", "testers"]}
    found = apply([rule(local, *remote)], said)
    assert found.user == user("Ann Lee", email="a@x.org")
    assert found.groups == (Group("developers", Domain("0cd5e9")), Group("testers", Domain("0cd5e9")))


@pytest.mark.parametrize(("condition", "values", "fits"), [
    ({"any_one_of": ["me@x.org"]}, ["me@x.org", "you@x.org"], True),
    ({"any_one_of": ["me@x.org"]}, ["you@x.org"], False),
    ({"any_one_of": []}, ["you@x.org"], False),
    ({"not_any_of": ["me@x.org"]}, ["me@x.org", "you@x.org"], False),
    ({"not_any_of": ["me@x.org"]}, ["you@x.org"], True),
    ({"not_any_of": ["me@x.org"]}, [], False),
    ({"any_one_of": [".*@yeah.com$"], "regex": True}, ["a@yeah.com"], True),
    ({"any_one_of": [".*@yeah.com$"], "regex": True}, ["a@yeah.com.evil"], False),
    ({"any_one_of": ["yeah"], "regex": True}, ["oh yeah!"], True),
    ({"not_any_of": [".*@naww.com$"], "regex": True}, ["a@naww.com"], False),
    ({"any_one_of": [".*@yeah.com$"]}, ["a@yeah.com"], False),
])
def test_conditions_say_yes_or_no(condition: dict[str, Any], values: list[str], fits: bool) -> None:
    rules = [rule([NAMED, {"group": {"id": "g"}}], FIRST, {"type": "Groups", **condition})]
    found = apply(rules, {**JOE, "Groups": values})
    assert found == (Outcome(user=user("joe"), group_ids=("g",)) if fits else Outcome())


@pytest.mark.parametrize(("condition", "expected"), [
    ({"whitelist": ["a", "b", "z"]}, ("a", "b")),
    ({"blacklist": ["a"]}, ("b", "c")),
    ({"whitelist": ["^[ab]$"], "regex": True}, ("a", "b")),
    ({"blacklist": ["[ab]"], "regex": True}, ("c",)),
    ({"whitelist": ["c"]}, ("c",)),
    ({"whitelist": []}, ()),
    ({}, ("a", "b", "c")),
])
def test_lists_choose_which_groups_are_taken_over(condition: dict[str, Any], expected: tuple[str, ...]) -> None:
    local = [NAMED, {"groups": "{1}", "domain": {"id": "0cd5e9"}}]
    found = apply([rule(local, FIRST, {"type": "G", **condition})], {**JOE, "G": ["a", "b", "c"]})
    assert found.groups == tuple(Group(name, Domain("0cd5e9")) for name in expected)
    local = [NAMED, {"group_ids": "{1}"}]
    by_id = apply([rule(local, FIRST, {"type": "G", **condition})], {**JOE, "G": ["a", "b", "c"]})
    assert by_id.group_ids == expected


def test_yes_or_no_conditions_give_no_value() -> None:
    local = {"user": {"name": "{1}"}}
    remote = [FIRST, {"type": "Kind", "any_one_of": ["staff"]}, {"type": "Email"}]
    assert apply([rule(local, *remote)], {**JOE, "Kind": ["staff"], "Email": ["e"]}).user == user("e")


def test_rules_add_up_and_the_first_user_counts() -> None:
    staff = {"group": {"name": "non-contractors", "domain": {"id": "abc1234"}}}
    others = {"group": {"name": "contractors", "domain": {"id": "abc1234"}}}
    kinds = ["Contractor", "SubContractor"]
    rules = [
        rule({"user": {"id": "{0}"}}, {"type": "UserType"}),
        rule(staff, {"type": "orgPersonType", "not_any_of": kinds}),
        rule(others, {"type": "orgPersonType", "any_one_of": kinds}),
        rule(NAMED, FIRST),
    ]
    found = apply(rules, {"UserType": ["u1"], "orgPersonType": ["Employee"], **JOE})
    assert found.user == user(id="u1")
    assert [group.name for group in found.groups] == ["non-contractors"]
    assert [group.name for group in apply(rules, {"orgPersonType": kinds}).groups] == ["contractors"]


def test_of_one_rules_local_objects_the_first_of_a_name_counts_and_groups_all() -> None:
    local = [{"user": {"name": "one"}}, {"group": {"id": "g1"}}, {"user": {"name": "two"}, "group": {"id": "g2"}}]
    assert apply([rule(local, FIRST)], JOE) == Outcome(user=user("one"), group_ids=("g1", "g2"))


def test_a_local_user_is_one_that_is_here() -> None:
    local = {"user": {"name": "local_user", "type": "local", "domain": {"name": "local_domain"}}}
    expected = user("local_user", domain=Domain(name="local_domain"), local=True)
    assert apply([rule(local, FIRST)], JOE).user == expected


def test_in_1_0_who_is_not_local_is_in_the_providers_domain_whatever_is_said() -> None:
    local = {"user": {"name": "{0}", "domain": {"id": "elsewhere"}}}
    assert apply([rule(local, FIRST)], JOE).user == user("joe")
    assert apply([rule(local, FIRST)], JOE, "2.0").user == user("joe", domain=Domain("elsewhere"))


def projects(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "roles": [{"name": "member"}]} for name in names]


def test_projects_come_with_roles() -> None:
    local = [NAMED, {"projects": projects("Production", "Project for {0}")}]
    found = apply([rule(local, FIRST)], JOE)
    assert found.projects == (
        Project("Production", ("member",), None), Project("Project for joe", ("member",), None)
    )
    assert found.follows is False


def test_from_2_0_the_rules_domain_is_that_of_user_groups_and_projects() -> None:
    own = {**projects("b")[0], "domain": {"name": "other"}}
    local = {"domain": {"name": "{1}"}, "user": {"name": "{0}"}, "projects": [*projects("a"), own],
             "group": {"name": "g"}}
    found = apply([rule(local, FIRST, {"type": "Domain"})], {**JOE, "Domain": ["west"]}, "2.0")
    west = Domain(name="west")
    assert found.user == user("joe", domain=west)
    assert found.groups == (Group("g", west),)
    assert [project.domain for project in found.projects] == [west, Domain(name="other")]


def test_from_3_0_the_identity_provider_spells_out_projects() -> None:
    rules = [rule([NAMED, {"projects": "{1}"}], FIRST, {"type": "Projects"})]
    spelled = [*projects("acme"), {**projects("{0}")[0], "domain": {"name": "xyz"}}]
    found = apply(rules, {**JOE, "Projects": [json.dumps(spelled)]}, "3.0")
    assert found.projects == (
        Project("acme", ("member",), None), Project("{0}", ("member",), Domain(name="xyz"))
    )
    assert found.follows is True
    assert apply(rules, {**JOE, "Projects": ["[]"]}, "3.0").follows is True


@pytest.mark.parametrize("spelled", ["no", "{}", "[1]", '[{"name": "a"}]', "[" * 100_000, '["a"]'])
def test_projects_spelled_wrongly_are_no_projects(spelled: str) -> None:
    rules = [rule([NAMED, {"projects": "{1}"}], FIRST, {"type": "Projects"})]
    with pytest.raises(errors.Invalid):
        apply(rules, {**JOE, "Projects": [spelled]}, "3.0")


def test_a_value_is_never_read_as_a_place() -> None:
    local = {"user": {"name": "{0}", "email": "{1}"}}
    found = apply([rule(local, FIRST, {"type": "Email"})], {"UserName": ["{1}"], "Email": ["secret"]})
    assert found.user == user("{1}", email="secret")


def test_a_json_list_in_one_value_is_several_groups() -> None:
    local = [NAMED, {"groups": "{1}", "domain": {"id": "d"}}]
    found = apply([rule(local, FIRST, {"type": "G"})], {**JOE, "G": ['["a", "b"]']})
    assert [group.name for group in found.groups] == ["a", "b"]


WRONG: list[Any] = [
    {}, [], [1], [{}], [{"local": [], "remote": []}], [{"remote": [FIRST]}], [{"local": [NAMED]}],
    [{**rule(NAMED, FIRST), "more": 1}], [rule({"person": {}}, FIRST)], [rule(NAMED, {"type": 1})],
    [rule(NAMED, {"any_one_of": []})], [rule(NAMED, {"type": "a", "any_one_of": [], "not_any_of": []})],
    [rule(NAMED, {"type": "a", "whitelist": [], "blacklist": []})], [rule(NAMED, {"type": "a", "regex": True})],
    [rule(NAMED, {"type": "a", "any_one_of": "a"})], [rule(NAMED, {"type": "a", "any_one_of": [1]})],
    [rule(NAMED, {"type": "a", "any_one_of": ["["], "regex": True})], [rule({"user": {"name": "{1}"}}, FIRST)],
    [rule(NAMED, {"type": "a", "any_one_of": ["b"]})], [rule({"user": {"type": "guest"}}, FIRST)],
    [rule({"user": {"name": "a", "type": "local"}}, FIRST)], [rule({"group": {"name": "a"}}, FIRST)],
    [rule({"group": {"id": "a", "name": "b"}}, FIRST)], [rule({"groups": "{0}"}, FIRST)],
    [rule({"projects": [{"name": "a"}]}, FIRST)], [rule({"projects": "{0}"}, FIRST)],
    [rule({"projects": [{**projects("a")[0], "domain": {"id": "d"}}]}, FIRST)], [rule({"domain": {}}, FIRST)],
]


@pytest.mark.parametrize("rules", WRONG, ids=repr)
def test_what_is_no_mapping_is_refused(rules: Any) -> None:
    with pytest.raises(errors.Invalid):
        parse(rules)


def test_an_unknown_version_is_refused() -> None:
    for version in ("4.0", "", "1"):
        with pytest.raises(errors.Invalid):
            parse([rule(NAMED, FIRST)], version)


def test_no_expression_holds_the_process() -> None:
    # A matcher that goes back would not be done in the age of the world: this may be as slow as the machine.
    for pattern in ("^(a+)+$", "(a|a)*$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"):
        rules = [rule(NAMED, FIRST, {"type": "Text", "any_one_of": [pattern], "regex": True})]
        apply(rules, {**JOE, "Text": ["a" * 20_000 + "!"]})
    for pattern in (r"(a)\1", "(?=a)b", "(?<!a)b", "a{1000}{1000}", "x" * 5000):
        with pytest.raises(errors.Invalid):
            parse([rule(NAMED, FIRST, {"type": "Text", "any_one_of": [pattern], "regex": True})])


words = st.text(max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["local", "remote", "user", "name", "type", "group", "groups", "domain", "projects", "roles",
                         "regex", "any_one_of", "whitelist", "id"]) | words, inner, max_size=4,
    ),
    max_leaves=20,
)


@given(st.lists(anything, max_size=3), st.sampled_from(VERSIONS))
def test_whatever_is_sent_is_a_mapping_or_refused(rules: list[Any], version: str) -> None:
    with contextlib.suppress(errors.Invalid):
        parse(rules, version).apply(JOE)


values = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4)


@given(values, values)
def test_white_and_black_lists_share_out_what_was_said(said: list[str], listed: list[str]) -> None:
    def groups(how: str) -> set[str]:
        rules = [rule([NAMED, {"group_ids": "{1}"}], FIRST, {"type": "G", how: listed})]
        return set(apply(rules, {**JOE, "G": said}).group_ids)

    whole = {each for each in said if not each.startswith("[")}
    white, black = groups("whitelist"), groups("blacklist")
    assert white & black == set()
    assert whole <= white | black


@given(values, st.lists(st.text(max_size=6), max_size=4))
def test_any_one_of_and_not_any_of_are_opposites(said: list[str], listed: list[str]) -> None:
    def fits(how: str) -> bool:
        return apply([rule(NAMED, FIRST, {"type": "G", how: listed})], {**JOE, "G": said}).user is not None

    assert fits("any_one_of") != fits("not_any_of")
