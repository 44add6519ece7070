# SPDX-License-Identifier: Apache-2.0
"""The rule language, what it decides, and the rules of a program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyhold.core.policy import language
from skyhold.core.policy.compile import compile_check
from skyhold.core.policy.defaults import BASE
from skyhold.core.policy.language import PolicyError, parse
from skyhold.core.policy.predicate import compile_predicate
from skyhold.core.policy.rules import Policy, Rule


@dataclass(frozen=True)
class Caller:
    user_id: str | None = "ada"
    user_domain_id: str | None = "d"
    project_id: str | None = "p1"
    project_domain_id: str | None = "d"
    domain_id: str | None = None
    system_scope: str | None = None
    roles: frozenset[str] = frozenset({"member", "reader"})
    scope: str = "project"
    service_roles: list[str] = field(default_factory=list)
    is_admin: bool = False


def decides(rule: Any, creds: Caller | None = None, target: Any = None) -> bool:
    return compile_check(parse(rule), {})(creds or Caller(), target)


def filters(rule: Any, creds: Caller | None = None) -> Any:
    return compile_predicate(parse(rule), {})(creds or Caller())


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("", True),
        ("   ", True),
        ("@", True),
        ("!", False),
        ([], True),
        ([[]], False),
        ("role:member", True),
        ("role:MEMBER", True),
        ("role:admin", False),
        ("not role:admin", True),
        ("not not role:admin", False),
        ("NOT role:admin AND role:member", True),
        ("role:admin or role:member and role:reader", True),
        ("(role:admin or role:member) and role:nobody", False),
        ("role:member or role:x and role:nobody", True),
        ("((role:member))", True),
        ("is_admin:False", True),
        ("is_admin:True", False),
        ("system_scope:all", False),
        ("user_id:%(user_id)s", True),
        ("project_id:%(project_id)s", True),
        ("tenant_id:%(tenant_id)s", False),
        ("user_id:%(target.user.id)s", True),
        ("user_id:%(nested.user.id)s", True),
        ("user_id:%(missing)s", False),
        ("not user_id:%(missing)s", True),
        ("nothing:%(user_id)s", False),
        ("True:%(shared)s", True),
        ("'public':%(visibility)s", True),
        ("'private':%(visibility)s", False),
        ("None:%(domain_id)s", True),
        ("None:%(missing)s", False),
        ("role:%(role_name)s", True),
        ("user_id:a%(rest)s", True),
        ([["role:admin"], ["role:member", "role:reader"]], True),
        ([["role:admin"], ["role:member", "role:nobody"]], False),
        (["role:admin", "role:member"], True),
    ],
)
def test_rules_decide(rule: Any, answer: bool) -> None:
    target = {
        "user_id": "ada",
        "project_id": "p1",
        "target.user.id": "ada",
        "nested": {"user": {"id": "ada"}},
        "shared": True,
        "visibility": "public",
        "domain_id": None,
        "role_name": "Member",
        "rest": "da",
    }
    assert decides(rule, target=target) is answer


@pytest.mark.parametrize(
    "rule",
    ["role:x and", "and role:x", "(role:x", "role:x)", "role:x role:y", "not", "nonsense", ":x", "()",
     "http://host/%(x)s", "https://host/", "a:%d", "a:%(x)d", "role:x or or role:y"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(rule: str) -> None:
    with pytest.raises(PolicyError):
        parse(rule)


def test_asking_another_server_is_refused_with_the_reason() -> None:
    with pytest.raises(PolicyError, match="must not depend on the network"):
        parse("role:admin or http://policy.example/%(name)s")


@pytest.mark.parametrize("empty", [None, ""])
def test_nothing_does_not_match_nothing(empty: str | None) -> None:
    """A token without a project must not reach resources without one."""
    assert not decides("project_id:%(project_id)s", Caller(project_id=empty), {"project_id": empty})
    assert filters("project_id:%(project_id)s", Caller(project_id=empty)) is False


def test_targets_may_be_objects_and_creds_may_hold_lists() -> None:
    assert decides("user_id:%(user_id)s", target=Caller())
    assert decides("service_roles:service", Caller(service_roles=["x", "service"]))
    assert filters("service_roles:%(kind)s", Caller(service_roles=["x", "y"])) == (
        (("kind", "x"),),
        (("kind", "y"),),
    )


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("role:admin or project_id:%(project_id)s", ((("project_id", "p1"),),)),
        ("role:member or project_id:%(project_id)s", True),
        ("role:admin and project_id:%(project_id)s", False),
        ("role:member and project_id:%(project_id)s", ((("project_id", "p1"),),)),
        ("True:%(shared)s or user_id:%(owner)s", ((("shared", True),), (("owner", "ada"),))),
        ("user_id:%(a)s and (user_id:%(b)s or 'x':%(c)s)",
         ((("a", "ada"), ("b", "ada")), (("a", "ada"), ("c", "x")))),
        ("user_id:%(a)s or (user_id:%(a)s and user_id:%(b)s)", ((("a", "ada"),),)),
        ("'x':%(a)s and 'y':%(a)s", False),
        ("None:%(domain_id)s", ((("domain_id", None),),)),
        ("not role:admin", True),
        ("not role:admin and user_id:%(a)s", ((("a", "ada"),),)),
        ("@", True),
        ("!", False),
    ],
)  # fmt: skip
def test_rules_filter_lists(rule: str, answer: Any) -> None:
    assert filters(rule) == answer


@pytest.mark.parametrize("rule", ["not user_id:%(a)s", "role:%(a)s", "user_id:x%(a)s"])
def test_what_cannot_filter_says_so(rule: str) -> None:
    with pytest.raises(PolicyError, match="list"):
        compile_predicate(parse(rule), {})


ATOMS = ["@", "!", "role:member", "role:admin", "project_id:%(project_id)s", "user_id:%(user_id)s",
         "True:%(shared)s", "'public':%(visibility)s", "is_admin:True", "user_id:ada"]  # fmt: skip
RULES = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} and {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} or {two[1]}"),
        st.tuples(inner, inner, inner).map(lambda three: f"{three[0]} and {three[1]} or {three[2]}"),
    ),
    max_leaves=8,
)
CALLERS = st.builds(
    Caller,
    user_id=st.sampled_from(["ada", "bob"]),
    project_id=st.sampled_from(["p1", "p2"]),
    roles=st.frozensets(st.sampled_from(["member", "Admin", "reader"])),
    is_admin=st.booleans(),
)
TARGETS = st.fixed_dictionaries(
    {},
    optional={
        "project_id": st.sampled_from(["p1", "p2"]),
        "user_id": st.sampled_from(["ada", "bob"]),
        "shared": st.booleans(),
        "visibility": st.sampled_from(["public", "private"]),
    },
)


@settings(max_examples=300)
@given(RULES, CALLERS, TARGETS)
def test_the_first_implementation_decides_the_same(rule: str, creds: Caller, target: dict[str, Any]) -> None:
    parser = pytest.importorskip("oslo_policy._parser")
    facts = {name: getattr(creds, name) for name in Caller.__dataclass_fields__}
    theirs = {**facts, "roles": list(creds.roles)}
    assert decides(rule, creds, target) == parser.parse_rule(rule)(target, theirs, None)


@settings(max_examples=300)
@given(RULES, CALLERS, TARGETS)
def test_a_filter_agrees_with_the_decision(rule: str, creds: Caller, target: dict[str, Any]) -> None:
    try:
        found = filters(rule, creds)
    except PolicyError:
        return
    missing = object()
    holds = found if isinstance(found, bool) else any(
        all(target.get(key, missing) == value for key, value in each) for each in found
    )
    assert holds == decides(rule, creds, target)


@settings(max_examples=200)
@given(RULES, CALLERS, TARGETS)
def test_what_is_allowed_was_possible(rule: str, creds: Caller, target: dict[str, Any]) -> None:
    made = policy(Rule("it", rule))
    assert made.possible("it", creds) or not made.allows("it", creds, target)


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("role:admin and not user_id:%(x)s", False),
        ("role:member and not user_id:%(x)s", True),
        ("not (role:member or user_id:%(x)s)", False),
        ("role:%(x)s", True),
        ("domain_id:%(domain_id)s", False),
        ("project_id:%(project_id)s", True),
    ],
)
def test_what_is_possible_before_a_target_is_known(rule: str, answer: bool) -> None:
    assert policy(Rule("it", rule)).possible("it", Caller()) is answer


CREATE = Rule("compute:servers:create", "rule:project_member_or_admin", ("project",),
              operations=(("POST", "/servers"),), lists=True)  # fmt: skip


def policy(*rules: Rule, overrides: Any = None) -> Policy:
    made = Policy()
    made.register(*BASE, *rules)
    made.override(overrides or {})
    made.compile()
    return made


def test_a_policy_allows_filters_and_explains() -> None:
    made = policy(CREATE)
    assert made.allows(CREATE.name, Caller(), {"project_id": "p1"})
    assert not made.allows(CREATE.name, Caller(), {"project_id": "p2"})
    assert made.predicate(CREATE.name, Caller()) == ((("project_id", "p1"),),)
    assert made.explain(CREATE.name, Caller(roles=frozenset({"reader"}))) == (
        "rule compute:servers:create needs role admin or (role member and project_id to be the target's "
        "project_id) in project scope; you have role reader in project p1"
    )


@pytest.mark.parametrize("scope", ["system", "domain", "unscoped"])
def test_the_wrong_scope_is_denied_whatever_the_role(scope: str) -> None:
    creds = Caller(roles=frozenset({"admin"}), scope=scope)
    assert not policy(CREATE).allows(CREATE.name, creds, {"project_id": "p1"})
    assert policy(CREATE).predicate(CREATE.name, creds) is False
    assert policy(CREATE).explain(CREATE.name, creds).startswith(
        "rule compute:servers:create works in project scope only; your token is "
    )


def test_nothing_is_allowed_by_default() -> None:
    made = policy()
    for ask in (made.allows, made.predicate, made.explain):
        with pytest.raises(PolicyError, match="does not exist"):
            ask("compute:servers:creat", Caller())


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([Rule("a", "rule:b")], "rule 'b'"),
        ([Rule("a", "rule:b"), Rule("b", "rule:a")], "circle"),
        ([Rule("a", "rule:a")], "circle"),
        ([Rule("a", "role:x and")], "rule a"),
        ([Rule("a", "not user_id:%(x)s", lists=True)], "cannot guard lists"),
        ([Rule("a", "@", ("galaxy",))], "galaxy"),
        ([Rule("a", "@"), Rule("a", "!")], "two different rules"),
    ],
)
def test_a_wrong_policy_stops_the_program(rules: list[Rule], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        policy(*rules)


def test_overrides_replace_and_unknown_names_are_refused() -> None:
    made = policy(CREATE, overrides={CREATE.name: "role:chief", "project_member": None})
    assert not made.allows(CREATE.name, Caller(), {"project_id": "p1"})
    assert made.allows(CREATE.name, Caller(roles=frozenset({"Chief"})), {})
    assert made.allows("project_member", Caller(), {})
    assert next(rule.check for rule in made.rules() if rule.name == CREATE.name) == "role:chief"
    with pytest.raises(PolicyError, match="did you mean 'compute:servers:create'"):
        made.override({"compute:server:create": "@"})


def test_an_override_that_fails_leaves_the_old_policy_in_force() -> None:
    made = policy(CREATE)
    made.override({CREATE.name: "not project_id:%(project_id)s"})
    with pytest.raises(PolicyError, match="cannot guard lists"):
        made.compile()
    assert made.allows(CREATE.name, Caller(), {"project_id": "p1"})


def test_a_rule_that_cannot_filter_may_still_decide() -> None:
    made = policy(Rule("a", "not user_id:%(x)s"))
    assert made.allows("a", Caller(), {"x": "bob"})
    with pytest.raises(PolicyError, match="cannot guard lists"):
        made.predicate("a", Caller())


def test_parsing_gives_a_tree_of_values() -> None:
    assert parse("role:a and rule:b") == language.All(
        (language.Role(language.Template(((False, "a"),))), language.RuleRef("b"))
    )
