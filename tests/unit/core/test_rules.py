# SPDX-License-Identifier: Apache-2.0
"""Invariant 1 for the whole program: no route without a rule, no rule that nobody wrote, no change for everybody.

What a rule means and how rules are compiled is test_policy.py. Everything here is asked of the route table
and the policy data, so a new service is held to it by being composed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyhold.cmd.compose import services
from skyhold.core.app import Core
from skyhold.core.context import Context, Credentials
from skyhold.core.http.routes import PUBLIC, Public, Route, Routes
from skyhold.core.policy.defaults import BASE
from skyhold.core.policy.language import PolicyError
from skyhold.core.policy.rules import Policy, Rule
from skyhold.core.service import Service
from skyhold.core.settings.whole import Settings
from skyhold.core.shapes import Shape, envelope, field, guarded_fields, shape_in
from skyhold.core.wire.kinds import Either, Kind, ListOf, MapOf, Nested, kinds_of

SEE = Rule("get_things_tags", "role:reader")


class Guarded(Shape):
    shared: bool = field(default=False, policy="create_thing:shared")


def toy(rule: Rule, *known: Rule, body: Any = None) -> Service:
    routes = Routes()

    @routes.post("/v1/things", policy=rule, body=body)
    async def create(ctx: Context, want: Any = None) -> None:
        """Make a thing."""

    return Service(name="toy", type="toy", prefix="/toy", port=1, routes=[routes], rules=known)


def every_route() -> list[tuple[Service, Route]]:
    return [(service, route) for service in services() for routes in service.routes for route in routes.all]


def whole_policy() -> Policy:
    policy = Policy()
    policy.register(*BASE, *(rule for service in services() for rule in service.rules))
    policy.compile()
    return policy


def test_invariant_1_a_route_without_a_rule_can_not_be_written() -> None:
    routes = Routes()
    with pytest.raises(TypeError, match="policy"):
        routes.get("/v1/things")  # type: ignore[call-arg]
    for nothing in (None, "", "get_things", True):
        with pytest.raises(TypeError, match="needs a policy rule"):
            routes.get("/v1/things", policy=nothing)  # type: ignore[arg-type]


def test_cve_2026_49299_a_route_of_a_misspelled_rule_stops_the_program(tmp_path: Path) -> None:
    """The plural there and the singular here: what was asked about was in no policy, and so allowed."""
    Core(Settings(home=tmp_path), [toy(SEE, SEE)])
    with pytest.raises(PolicyError, match="get_things_tags"):
        Core(Settings(home=tmp_path), [toy(SEE, Rule("get_thing_tags", "role:reader"))])


def test_cve_2026_49299_an_attribute_of_a_misspelled_rule_stops_the_program(tmp_path: Path) -> None:
    body = envelope("thing", Guarded)
    Core(Settings(home=tmp_path), [toy(SEE, SEE, Rule("create_thing:shared", "role:admin"), body=body)])
    with pytest.raises(PolicyError, match="create_thing:shared"):
        Core(Settings(home=tmp_path), [toy(SEE, SEE, Rule("create_things:shared", "role:admin"), body=body)])


def test_cve_2026_49299_no_attribute_of_any_depth_is_guarded_by_a_rule_that_is_not_there() -> None:
    policy, found = whole_policy(), 0
    for service, route in every_route():
        for top in filter(None, map(shape_in, (route.body, route.reply, route.query))):
            for shape in within(top):
                for attribute, _, rule in guarded_fields(shape):
                    found += 1
                    assert rule in policy, f"{service.name} {route.path}: {shape.__name__}.{attribute}"
    assert found > 20, "else the shapes were not looked into"


def within(shape: type[Shape], above: tuple[type[Shape], ...] = ()) -> Iterator[type[Shape]]:
    """The shape and all that its fields hold."""
    if shape in above:
        return
    yield shape
    for kind in kinds_of(shape).values():
        for inner in nested(kind):
            yield from within(inner, (*above, shape))


def nested(kind: Kind) -> Iterator[type[Shape]]:
    match kind:
        case Nested(shape):
            yield shape
        case ListOf(inner) | MapOf(inner):
            yield from nested(inner)
        case Either(kinds):
            for each in kinds:
                yield from nested(each)


@pytest.mark.parametrize("scope", ["unscoped", "project", "domain", "system"])
def test_cve_2026_40213_nothing_may_be_changed_by_just_anybody(scope: str) -> None:
    """An unconditional "yes" stood where a role belonged; whoever changes something has a role or owns it."""
    policy = whole_policy()
    nobody = Credentials(user_id="nobody", project_id="p" if scope == "project" else None, scope=scope)
    changes = [(s, r) for s, r in every_route() if r.method not in ("GET", "HEAD") and not isinstance(r.policy, Public)]
    open_to_all = [f"{s.name} {r.method} {r.path}" for s, r in changes if policy.allows(r.policy.name, nobody, {})]
    assert changes and open_to_all == []


def test_cve_2026_41283_what_is_public_changes_nothing_but_signs_somebody_in() -> None:
    """Endpoints without any policy ran code; ours without one only tell, or prove who somebody is."""
    public = {f"{s.name} {r.method} {r.path}" for s, r in every_route()
              if r.policy is PUBLIC and r.method not in ("GET", "HEAD")}
    assert "identity POST /v3/auth/tokens" in public
    assert all(each.startswith("identity ") for each in public), public
