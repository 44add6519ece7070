# SPDX-License-Identifier: Apache-2.0
"""Invariant 4 where it is applied: whatever bounds a token has, it gets no more than its holder and each of them leave.

Chains of real delegations are tests/story/identity; here any bounds at all are put together.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core.errors import NotFound
from skyhold.identity import grants
from skyhold.identity.auth import validate
from skyhold.identity.auth.bounds import Bound
from skyhold.identity.auth.payload import Token
from skyhold.identity.auth.subjects import PlaceView, UserView

ROLES = ["admin", "manager", "member", "reader"]
PLACE = PlaceView("p", "p", "d", "d", False, "d", 0)
SUBSETS = st.frozensets(st.sampled_from(ROLES))
USERS = [UserView(name, name, "d", "d", 0, None, None, None) for name in ("u", "v", "w")]


@st.composite
def bounds(draw: st.DrawFn) -> Bound:
    roles = draw(st.none() | SUBSETS)
    return Bound(
        role_ids=None if roles is None else tuple(sorted(roles)), holder=draw(st.none() | st.sampled_from(USERS)),
        ends_at=draw(st.none() | st.integers(1, 100)), project_id=draw(st.none() | st.sampled_from(["p", "q"])),
    )


def token(**more: Any) -> Token:
    return Token(
        user_id="u", methods=("password",), scope="project", scope_id="p", issued_at=0, expires_at=50, audit_id="",
        user_generation=0, **more,
    )


@given(has=st.fixed_dictionaries({user.id: SUBSETS for user in USERS}), found=st.lists(bounds(), max_size=4))
def test_invariant_4_no_bound_adds_a_role(has: dict[str, frozenset[str]], found: list[Bound]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grants, "given", lambda tx, user_id, *_: grants.Given(sorted(has[user_id]), None))
        patch.setattr(grants, "expand", lambda tx, ids: tuple((id, id) for id in ids))
        holders = {bound.holder.id for bound in found if bound.holder is not None}
        left = set(has[min(holders, default="u")])
        for bound in found:
            left &= set(ROLES if bound.role_ids is None else bound.role_ids)
        try:
            roles, _ = validate.roles_in(None, token(), PLACE, tuple(found))  # type: ignore[arg-type]
        except NotFound:
            assert not left or len(holders) > 1
        else:
            assert {name for _, name in roles} == left
            assert len(holders) <= 1


@given(found=st.lists(bounds(), max_size=4), since=st.integers(0, 100))
def test_invariant_4_what_has_ended_or_is_for_another_project_is_void(found: list[Bound], since: int) -> None:
    for bound in found:
        counts = bound.project_id in (None, "p") and (bound.ends_at is None or bound.ends_at > since)
        try:
            validate.check(bound, token(), PLACE, since)
        except NotFound:
            assert not counts
        else:
            assert counts
    valid = validate.Valid(token=token(), user=USERS[0], place=PLACE, roles=(), bounds=tuple(found))
    assert valid.ends_at == min([50, *(bound.ends_at for bound in found if bound.ends_at is not None)])


def test_a_bound_for_a_project_leaves_no_other_scope() -> None:
    elsewhere = Token(
        user_id="u", methods=("password",), scope="system", issued_at=0, expires_at=50, audit_id="", user_generation=0,
    )
    with pytest.raises(NotFound):
        validate.check(Bound(project_id="p"), elsewhere, None, 0)


def test_a_token_may_only_delegate_when_all_it_rests_on_may() -> None:
    for passes, expected in (((), True), ((True,), True), ((True, False), False), ((False,), False)):
        made = tuple(Bound(passes_on=each) for each in passes)
        valid = validate.Valid(token=token(), user=USERS[0], place=PLACE, roles=(), bounds=made)
        assert valid.credentials("text").may_delegate is expected
