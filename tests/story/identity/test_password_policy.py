# SPDX-License-Identifier: Apache-2.0
"""Stories of what [security_compliance] asks of users: lockout, expiry, history, age, pattern, inactivity.

Signing in without any of it is test_tokens.py. Each story sets its rules for itself alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyhold.core.context import internal
from skyhold.core.settings.whole import Settings, SettingsError
from skyhold.identity import password_rules
from skyhold.identity.loops import inactivity
from tests.kit.client import Answer
from tests.kit.cloud import Cloud, Persona, admin_of, start_cloud

V3 = "/identity/v3"
DAY_S = 86_400


@contextmanager
def asking(cloud: Cloud, **rules: Any) -> Iterator[None]:
    """The cloud as if it had been started with these rules."""
    before = cloud.core.settings
    chosen = msgspec.structs.replace(before.security_compliance, **rules)
    cloud.core.settings = msgspec.structs.replace(before, security_compliance=chosen)
    try:
        yield
    finally:
        cloud.core.settings = before


@contextmanager
def later(cloud: Cloud, seconds: float) -> Iterator[None]:
    clock = cloud.core.clock
    cloud.core.clock = lambda: clock() + int(seconds * 1e6)
    try:
        yield
    finally:
        cloud.core.clock = clock


async def sign_in(cloud: Cloud, user: Persona, password: str = "", status: int = 201, **more: Any) -> Answer:
    who = {"user": {"id": user.user_id, "password": password or user.password}}
    body = {"auth": {"identity": {"methods": ["password"], "password": who}}}
    return await cloud.client().post(f"{V3}/auth/tokens", body, status=status, **more)


async def change(cloud: Cloud, user: Persona, old: str, new: str, status: int = 204) -> Answer:
    body = {"user": {"original_password": old, "password": new}}
    return await cloud.client().post(f"{V3}/users/{user.user_id}/password", body, status=status)


async def set_options(cloud: Cloud, user: Persona, **options: Any) -> None:
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"options": options}}, status=200)


async def shown(cloud: Cloud, user: Persona) -> dict[str, Any]:
    return (await cloud.admin.get(f"{V3}/users/{user.user_id}", status=200)).json["user"]


# ---- lockout -------------------------------------------------------------------------------


async def test_key_17_wrong_guesses_lock_a_user_out_for_a_while(cloud: Cloud) -> None:
    user = await cloud.user()
    with asking(cloud, lockout_failure_attempts=2, lockout_duration_s=5):
        await sign_in(cloud, user, "wrong", 401)
        await sign_in(cloud, user)
        for _ in range(2):
            await sign_in(cloud, user, "wrong", 401)
        answer = await sign_in(cloud, user, status=401)
        assert answer.json["error"]["message"] == f"The account is locked for user: {user.user_id}."
        await change(cloud, user, user.password, "another", 401)
        with later(cloud, 6):
            await sign_in(cloud, user)
            await sign_in(cloud, user, "wrong", 401)
            await sign_in(cloud, user)


async def test_key_17_the_wrong_original_password_is_a_guess_too(cloud: Cloud) -> None:
    user = await cloud.user()
    with asking(cloud, lockout_failure_attempts=2):
        for _ in range(2):
            await change(cloud, user, "wrong", "another", 401)
        await sign_in(cloud, user, status=401)


async def test_a_guess_counts_in_a_dry_run_as_well(cloud: Cloud) -> None:
    user = await cloud.user()
    with asking(cloud, lockout_failure_attempts=2):
        for _ in range(2):
            await sign_in(cloud, user, "wrong", 401, headers={"X-Dry-Run": "true"})
        await sign_in(cloud, user, status=401)


async def test_of_many_guesses_at_once_none_counts_after_the_last_allowed(cloud: Cloud) -> None:
    """The right password among twenty wrong ones only helps whoever had it early enough."""
    user = await cloud.user()
    with asking(cloud, lockout_failure_attempts=3):
        guesses = [sign_in(cloud, user, f"guess-{i}", 401) for i in range(20)]
        await asyncio.gather(*guesses)
        await sign_in(cloud, user, status=401)


async def test_key_20_who_ignores_lockout_is_never_locked_out(cloud: Cloud) -> None:
    user = await cloud.user()
    await set_options(cloud, user, ignore_lockout_failure_attempts=True)
    with asking(cloud, lockout_failure_attempts=1, lockout_duration_s=0):
        await sign_in(cloud, user, "wrong", 401)
        await sign_in(cloud, user)


async def test_a_lock_without_end_is_opened_by_enabling_the_user(cloud: Cloud) -> None:
    user = await cloud.user()
    with asking(cloud, lockout_failure_attempts=1, lockout_duration_s=0):
        await sign_in(cloud, user, "wrong", 401)
        with later(cloud, 400 * DAY_S):
            await sign_in(cloud, user, status=401)
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"enabled": True}}, status=200)
        await sign_in(cloud, user)


# ---- expiry --------------------------------------------------------------------------------


async def test_key_17_a_password_expires_and_can_still_be_changed(cloud: Cloud) -> None:
    with asking(cloud, password_expires_days=2):
        user = await cloud.user()
        assert (await shown(cloud, user))["password_expires_at"] is not None
        await sign_in(cloud, user)
        with later(cloud, 2 * DAY_S + 1):
            answer = await sign_in(cloud, user, status=401)
            assert "expired and needs to be changed" in answer.json["error"]["message"]
            await change(cloud, user, user.password, "the-next")
            await sign_in(cloud, user, "the-next")


async def test_who_ignores_expiry_has_none(cloud: Cloud) -> None:
    user = await cloud.user()
    await set_options(cloud, user, ignore_password_expiry=True)
    with asking(cloud, password_expires_days=2):
        await change(cloud, user, user.password, "the-next")
        assert (await shown(cloud, user))["password_expires_at"] is None


async def test_key_17_what_an_administrator_set_is_changed_upon_first_use(cloud: Cloud) -> None:
    with asking(cloud, change_password_upon_first_use=True):
        user, exempt = await cloud.user(), await cloud.user()
        await sign_in(cloud, user, status=401)
        await change(cloud, user, user.password, "my-own")
        await sign_in(cloud, user, "my-own")
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": "reset"}}, status=200)
        await sign_in(cloud, user, "reset", 401)
        options = {"ignore_change_password_upon_first_use": True}
        body = {"user": {"password": "given", "options": options}}
        await cloud.admin.patch(f"{V3}/users/{exempt.user_id}", body, status=200)
        await sign_in(cloud, exempt, "given")


async def test_users_are_found_by_when_their_passwords_expire(cloud: Cloud) -> None:
    domain = await cloud.domain()
    await cloud.user(domain)
    with asking(cloud, password_expires_days=1):
        soon = await cloud.user(domain)
    with asking(cloud, password_expires_days=100):
        late = await cloud.user(domain)
    moment = (await shown(cloud, soon))["password_expires_at"][:19] + "Z"

    async def found(text: str) -> set[str]:
        query = {"domain_id": domain, "password_expires_at": text}
        return {user["id"] for user in (await cloud.admin.get(f"{V3}/users", query, status=200)).json["users"]}

    assert await found(f"lt:{moment}") == set()
    assert await found(f"lte:{moment}") == await found(f"eq:{moment}") == {soon.user_id}
    assert await found(f"gt:{moment}") == await found(f"neq:{moment}") == {late.user_id}
    assert await found(f"gte:{moment}") == {soon.user_id, late.user_id}
    for nonsense in ("lt", "before:2026-01-01T00:00:00Z", "lt:yesterday", "lt:2026-13-01T00:00:00Z", ""):
        await cloud.admin.get(f"{V3}/users", {"password_expires_at": nonsense}, status=400)


async def test_nobody_says_himself_when_his_password_expires(cloud: Cloud) -> None:
    user = await cloud.user()
    body = {"user": {"password_expires_at": "2099-01-01T00:00:00.000000Z"}}
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", body, status=200)
    assert (await shown(cloud, user))["password_expires_at"] is None


# ---- history, age, pattern -----------------------------------------------------------------


async def test_key_17_the_last_passwords_are_not_chosen_again(cloud: Cloud) -> None:
    with asking(cloud, unique_last_password_count=2):
        user = await cloud.user()
        old = user.password
        await change(cloud, user, old, "second")
        for used in ("second", old):
            answer = await change(cloud, user, "second", used, 400)
        assert "cannot be identical to a previous password" in answer.json["error"]["message"]
        await change(cloud, user, "second", "third")
        await change(cloud, user, "third", old)
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": "third"}}, status=200)


async def test_key_17_a_chosen_password_is_kept_for_a_while(cloud: Cloud) -> None:
    user = await cloud.user()
    with asking(cloud, minimum_password_age_days=3):
        await change(cloud, user, user.password, "chosen")
        answer = await change(cloud, user, "chosen", "again", 400)
        assert "try again in 3 day(s)" in answer.json["error"]["message"]
        with later(cloud, 3 * DAY_S + 1):
            await change(cloud, user, "chosen", "again")


async def test_key_17_a_password_matches_the_pattern_whoever_sets_it(cloud: Cloud) -> None:
    with asking(cloud, password_regex=r"^(?=.*\d)(?=.*[a-z]).{7,}$", password_regex_description="letters and digits"):
        user = await cloud.user()
        answer = await change(cloud, user, user.password, "short1", 400)
        assert answer.json["error"]["message"].endswith("requirements: letters and digits")
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": "onlyletters"}}, status=400)
        body = {"user": {"name": "x" + user.user_name, "password": "onlyletters"}}
        await cloud.admin.post(f"{V3}/users", body, status=400)
        await change(cloud, user, user.password, "letters1")


async def test_a_pattern_that_cannot_be_read_is_told_at_the_start(cloud: Cloud) -> None:
    with asking(cloud, password_regex="(["), pytest.raises(SettingsError, match="password_regex"):
        await password_rules.check_pattern(cloud.core)
    assert Settings(home=cloud.core.settings.home).security_compliance.password_regex == ""


# ---- inactivity ----------------------------------------------------------------------------


async def test_key_17_who_is_away_too_long_is_disabled(cloud: Cloud) -> None:
    user, kept, fresh = await cloud.user(), await cloud.user(), await cloud.user()
    await set_options(cloud, kept, ignore_user_inactivity=True)
    with asking(cloud, disable_user_account_days_inactive=30):
        await sign_in(cloud, user)
        with later(cloud, 29 * DAY_S):
            await sign_in(cloud, fresh)
            await sign_in(cloud, user)
        with later(cloud, 60 * DAY_S):
            await sign_in(cloud, user, status=401)
            await sign_in(cloud, kept)


async def test_the_loop_disables_them_and_enabling_starts_anew(tmp_path: Path) -> None:
    cloud = await start_cloud(tmp_path)
    try:
        away, kept = await cloud.user(), await cloud.user()
        for user in (kept, cloud.admin):
            await set_options(cloud, user, ignore_user_inactivity=True)
        with asking(cloud, disable_user_account_days_inactive=30), later(cloud, 32 * DAY_S):
            admin = await admin_of(cloud.core)
            seen = [away, kept, admin]
            await inactivity.run(internal(cloud.core))
            listed = (await admin.get(f"{V3}/users", {"enabled": "false"}, status=200)).json["users"]
            assert [user["id"] for user in listed if user["id"] in {one.user_id for one in seen}] == [away.user_id]
            await admin.patch(f"{V3}/users/{away.user_id}", {"user": {"enabled": True}}, status=200)
            await inactivity.run(internal(cloud.core))
            await sign_in(cloud, away)
    finally:
        await cloud.core.stop()
