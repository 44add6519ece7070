# SPDX-License-Identifier: Apache-2.0
"""Invariant 4 over chains of delegations: nothing grows along them, and whatever is taken back takes its tail along.

The kinds themselves are in test_app_credentials.py, test_trusts.py, test_ec2_tokens.py, test_oauth1.py and
test_oauth2.py. Every chain of up to four links that the API allows is walked; hypothesis narrows roles and ends.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, pairwise, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud, Persona
from tests.story.identity import test_ec2_tokens as ec2
from tests.story.identity import test_oauth1 as oauth1
from tests.story.identity import test_oauth2 as oauth2
from tests.story.identity.test_app_credentials import sign_in as with_app_credential
from tests.story.identity.test_trusts import ask as with_trust

V3 = "/identity/v3"
LENGTH = 4
ROLES = ("manager", "member", "reader", "service")
SECOND_US = 1_000_000
number = count()


@dataclass
class Link:
    """One delegation: who acts with it, the way to sign in again, and how its maker takes it back."""

    kind: str
    client: Client
    user_id: str
    token: dict[str, Any]
    ends_us: float
    """When it ends at the latest: it, or what it was made with."""
    again: Callable[[], Awaitable[int]]
    revoke: Callable[[], Awaitable[Any]]

    @property
    def roles(self) -> set[str]:
        return {role["name"] for role in self.token["roles"]}

    @property
    def expires_us(self) -> float:
        return datetime.fromisoformat(self.token["expires_at"]).timestamp() * SECOND_US


@dataclass(frozen=True)
class Wish:
    """What to narrow a link to: only these roles, if its maker has them, and an end so many seconds from now."""

    roles: frozenset[str] = frozenset(ROLES)
    lasts_s: int | None = None

    def chosen(self, held: set[str]) -> list[dict[str, str]]:
        return [{"name": name} for name in sorted(self.roles & held or held)]

    def ends_us(self, cloud: Cloud) -> float:
        return math.inf if self.lasts_s is None else (cloud.core.clock() // SECOND_US + self.lasts_s) * SECOND_US


def stamp(at_us: float) -> str | None:
    return None if at_us == math.inf else f"{datetime.fromtimestamp(at_us / SECOND_US, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


@dataclass
class World:
    """A project in which an administrator of it hands rights on; a trustee for trusts."""

    cloud: Cloud
    owner: Persona
    trustee: Persona
    consumer: dict[str, Any] = field(default_factory=dict)

    def link(self, kind: str, holder: Link, answer: Answer, ends_us: float, again: Any, revoke: Any) -> Link:
        client = self.cloud.client(answer.headers["x-subject-token"])
        token = answer.json["token"]
        return Link(kind, client, token["user"]["id"], token, min(ends_us, holder.ends_us), again, revoke)


async def app_credential(world: World, holder: Link, wish: Wish) -> Link | None:
    ends_us = wish.ends_us(world.cloud)
    made = await make_app_credential(world, holder, wish, ends_us)
    if made is None:
        return None
    cloud = world.cloud
    answer = await with_app_credential(cloud, made)
    return world.link(
        "app", holder, answer, ends_us, lambda: status_of(with_app_credential(cloud, made, (201, 401))),
        lambda: cloud.admin.delete(f"{V3}/users/{holder.user_id}/application_credentials/{made['id']}", status=204),
    )


async def make_app_credential(world: World, holder: Link, wish: Wish, ends_us: float) -> dict[str, Any] | None:
    body = {"name": f"link-{next(number)}", "unrestricted": True, "roles": wish.chosen(holder.roles),
            "expires_at": stamp(ends_us)}
    path = f"{V3}/users/{holder.user_id}/application_credentials"
    answer = await holder.client.post(path, {"application_credential": body}, status=(201, 403))
    return answer.json.get("application_credential")


async def oauth2_client(world: World, holder: Link, wish: Wish) -> Link | None:
    ends_us = wish.ends_us(world.cloud)
    made = await make_app_credential(world, holder, wish, ends_us)
    if made is None:
        return None
    cloud = world.cloud
    granted = (await oauth2.ask(cloud, oauth2.as_client(made))).json
    seen = {"X-Subject-Token": granted["access_token"]}
    answer = await cloud.admin.get(f"{V3}/auth/tokens", headers=seen, status=200)
    return world.link(
        "oauth2", holder, answer, ends_us, lambda: status_of(oauth2.ask(cloud, oauth2.as_client(made), (200, 401))),
        lambda: cloud.admin.delete(f"{V3}/users/{holder.user_id}/application_credentials/{made['id']}", status=204),
    )


async def trust(world: World, holder: Link, wish: Wish) -> Link | None:
    ends_us = wish.ends_us(world.cloud)
    body = {
        "trustor_user_id": holder.user_id, "trustee_user_id": world.trustee.user_id, "impersonation": True,
        "project_id": world.owner.project_id, "roles": wish.chosen(holder.roles), "allow_redelegation": True,
        "expires_at": stamp(ends_us),
    }
    answer = await holder.client.post(f"{V3}/OS-TRUST/trusts", {"trust": body}, status=(201, 403))
    if answer.status == 403:
        return None
    cloud, id = world.cloud, answer.json["trust"]["id"]
    return world.link(
        "trust", holder, await with_trust(cloud, world.trustee, id), ends_us,
        lambda: status_of(with_trust(cloud, world.trustee, id, (201, 401, 403))),
        lambda: cloud.admin.delete(f"{V3}/OS-TRUST/trusts/{id}", status=204),
    )


async def ec2_key(world: World, holder: Link, wish: Wish) -> Link | None:
    cloud, path = world.cloud, f"{V3}/users/{holder.user_id}/credentials/OS-EC2"
    answer = await holder.client.post(path, {"tenant_id": world.owner.project_id}, status=(201, 403))
    if answer.status == 403:
        return None
    key = answer.json["credential"]
    return world.link(
        "key", holder, await ec2.ask(cloud.admin, ec2.signed(key)), math.inf,
        lambda: status_of(ec2.ask(cloud.admin, ec2.signed(key), (200, 401))),
        lambda: cloud.admin.delete(f"{path}/{key['access']}", status=204),
    )


async def oauth1_consumer(world: World, holder: Link, wish: Wish) -> Link | None:
    cloud = world.cloud
    asked = await oauth1.ask(cloud, world.consumer, world.owner.project_id)
    answer = await holder.client.put(
        f"{oauth1.O1}/authorize/{asked['oauth_token']}", {"roles": wish.chosen(holder.roles)}, status=(200, 403)
    )
    if answer.status == 403:
        return None
    verifier = answer.json["token"]["oauth_verifier"]
    granted = await oauth1.exchange(cloud, world.consumer, asked, verifier)
    path = f"{V3}/users/{holder.user_id}/OS-OAUTH1/access_tokens/{granted['oauth_token']}"
    return world.link(
        "oauth1", holder, await oauth1.sign_in(cloud, oauth1.signing(world.consumer, granted)), math.inf,
        lambda: status_of(oauth1.sign_in(cloud, oauth1.signing(world.consumer, granted), (201, 401))),
        lambda: cloud.admin.delete(path, status=204),
    )


async def status_of(asking: Awaitable[Answer]) -> int:
    return (await asking).status


KINDS = {"app": app_credential, "oauth2": oauth2_client, "trust": trust, "key": ec2_key, "oauth1": oauth1_consumer}


async def settle(cloud: Cloud) -> tuple[World, Link]:
    """The world, and the owner as the head of all chains."""
    owner = await cloud.project(["admin", "service"])
    world = World(cloud, owner, await cloud.user(owner.domain_id), await oauth1.consumer(cloud))
    seen = await owner.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": str(owner.token)}, status=200)

    async def again() -> int:
        return 201

    return world, Link("user", owner, owner.user_id, seen.json["token"], math.inf, again, again)


async def chain(world: World, head: Link, kinds: tuple[str, ...], wishes: tuple[Wish, ...]) -> list[Link] | None:
    """The links, or None when the API refuses one of them."""
    links = [head]
    for kind, wish in zip(kinds, wishes, strict=True):
        made = await KINDS[kind](world, links[-1], wish)
        if made is None:
            return None
        links.append(made)
    return links


def check_nothing_grows(world: World, links: list[Link]) -> None:
    names = [link.kind for link in links]
    for before, after in pairwise(links):
        assert after.roles and after.roles <= before.roles, names
        assert after.token["project"]["id"] == world.owner.project_id, names
        assert after.ends_us <= before.ends_us and after.expires_us <= after.ends_us, names


async def check_tail_ends(links: list[Link], at: int) -> None:
    """Link `at` is taken back: before it all live, from it on nothing does, nor can it be asked for again."""
    for link in links:
        await link.client.get(f"{V3}/auth/projects", status=200)
    await links[at].revoke()
    for place, link in enumerate(links):
        await link.client.get(f"{V3}/auth/projects", status=401 if place >= at else 200)
        if place >= at:
            assert await link.again() in (401, 403), [each.kind for each in links]


# ---- the property --------------------------------------------------------------------------


@pytest.mark.kit
async def test_invariant_4_every_chain_of_four_links_is_bounded_and_ends_with_any_of_them(cloud: Cloud) -> None:
    """Narrower with each link: an administrator's, then a manager's, and so on. The link taken back changes from
    chain to chain."""
    world, head = await settle(cloud)
    found = 0
    for kinds in product(KINDS, repeat=LENGTH):
        if not allowed(kinds):
            continue
        links = await chain(world, head, kinds, WISHES)
        assert links is not None, kinds
        check_nothing_grows(world, links)
        found += 1
        await check_tail_ends(links, 1 + found % LENGTH)
        await links[1].revoke() if found % LENGTH else None
    assert found > 100


WISHES = (
    Wish(frozenset({"manager", "service"})), Wish(frozenset({"member", "service"}), 1800),
    Wish(frozenset({"member"}), 900), Wish(frozenset({"reader"}), 300),
)


def allowed(kinds: tuple[str, ...]) -> bool:
    """What upstream lets be passed on: OAuth1 is agreed to in person, and a trust and an access token make no
    application credentials, an access token no trusts."""
    for place, kind in enumerate(kinds):
        before = set(kinds[:place])
        if kind == "oauth1" and place:
            return False
        if kind in ("app", "oauth2") and before & {"trust", "oauth1"}:
            return False
        if kind == "trust" and "oauth1" in before:
            return False
    return True


async def test_invariant_4_what_is_not_passed_on_is_refused(cloud: Cloud) -> None:
    world, head = await settle(cloud)
    for kinds in product(KINDS, repeat=2):
        links = await chain(world, head, kinds, (Wish(), Wish()))
        assert (links is not None) == allowed(kinds), kinds


wishes = st.builds(
    Wish, st.frozensets(st.sampled_from(ROLES), min_size=1), st.sampled_from([None, 120, 600, 3000, 90_000])
)


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
async def test_invariant_4_roles_and_ends_only_shrink(cloud: Cloud, data: Any) -> None:
    world, head = await settle(cloud)
    kinds = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=LENGTH).map(tuple).filter(allowed))
    links = [head]
    for kind in kinds:
        made = await KINDS[kind](world, links[-1], data.draw(wishes))
        if made is None:
            break
        links.append(made)
    check_nothing_grows(world, links)
    if len(links) > 1:
        await check_tail_ends(links, data.draw(st.integers(1, len(links) - 1)))


async def test_invariant_15_a_role_taken_from_the_first_is_gone_from_the_last(cloud: Cloud) -> None:
    world, head = await settle(cloud)
    listed = (await cloud.admin.get(f"{V3}/roles", {"name": "admin"}, status=200)).json["roles"]
    grant = f"{V3}/projects/{world.owner.project_id}/users/{world.owner.user_id}/roles/{listed[0]['id']}"
    wish = Wish(frozenset({"reader"}))
    links = await chain(world, head, ("app", "trust", "trust", "key"), (wish,) * 4)
    assert links is not None
    await cloud.admin.delete(grant, status=204)
    for link in links[1:]:
        await link.client.get(f"{V3}/auth/projects", status=401)
        assert await link.again() in (401, 403)


async def test_a_chain_has_an_end(cloud: Cloud) -> None:
    """Each link costs every validation a query, so there are only so many."""
    world, holder = await settle(cloud)
    for _ in range(8):
        made = await app_credential(world, holder, Wish(frozenset({"reader"})))
        assert made is not None
        holder = made
    assert await app_credential(world, holder, Wish()) is None


async def test_invariant_11_secrets_of_delegations_reach_no_log_and_no_event(
    cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each is used rightly, then wrongly, then in a body that isn't understood."""
    owner = await cloud.project(["admin"])
    made, granted = await oauth1.danced(cloud, owner)
    await oauth1.sign_in(cloud, oauth1.signing(made, granted))
    await oauth1.sign_in(cloud, oauth1.signing(made, granted | {"oauth_token": "x"}), 401)
    path = f"{V3}/users/{owner.user_id}"
    key = (await owner.post(
        f"{path}/credentials/OS-EC2", {"tenant_id": owner.project_id}, status=201
    )).json["credential"]
    request = ec2.signed(key)
    await ec2.ask(cloud.admin, request)
    await ec2.ask(cloud.admin, {**request, "path": "/else"}, 401)
    body = {"application_credential": {"name": "logged", "secret": "a-secret-of-an-application-credential"}}
    secret = body["application_credential"]["secret"]
    client = (await owner.post(f"{path}/application_credentials", body, status=201)).json["application_credential"]
    await oauth2.ask(cloud, oauth2.as_client(client))
    await oauth2.ask(cloud, oauth2.as_client({**client, "id": "nobody"}), 401)
    wrong = {"credential": {"type": "ec2", "blob": [key["secret"]], "user_id": owner.user_id}}
    answer = await owner.post(f"{V3}/credentials", wrong, status=400)
    assert key["secret"].encode() not in answer.body
    told = "".join(capfd.readouterr())
    told += (await cloud.admin.get("/events/v1/events", {"limit": 1000}, status=200)).body.decode()
    for each in (made["secret"], granted["oauth_token_secret"], key["secret"], request["signature"], secret):
        assert each not in told
