# SPDX-License-Identifier: Apache-2.0
"""Stories of what domains configure for themselves: set, read in parts, changed, never told in full.

What the ldap group makes of a domain is test_directories.py.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core import context
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.identity.tables import DOMAIN_CONFIGS
from tests.kit.cloud import Cloud

V3 = "/identity/v3"
CONFIG: dict[str, Any] = {
    "identity": {"driver": "ldap"},
    "ldap": {"url": "ldap://nowhere.test", "user_tree_dn": "ou=Users,dc=nowhere", "password": "a-secret-of-ldap"},
}
SEEN = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://nowhere.test", "user_tree_dn": "ou=Users,dc=nowhere"}}


async def configured(cloud: Cloud) -> str:
    path = f"{V3}/domains/{await cloud.domain()}/config"
    assert (await cloud.admin.put(path, {"config": CONFIG}, status=201)).json == {"config": SEEN}
    return path


async def test_key_18_a_domain_is_configured_and_shown_in_parts(cloud: Cloud) -> None:
    path = await configured(cloud)
    for tail, expected in [
        ("", SEEN), ("/ldap", {"ldap": SEEN["ldap"]}), ("/ldap/url", {"url": "ldap://nowhere.test"}),
        ("/identity/driver", {"driver": "ldap"}),
    ]:
        assert (await cloud.admin.get(path + tail, status=200)).json == {"config": expected}
        await cloud.admin.request("HEAD", path + tail, status=200)
    await cloud.admin.get(f"{path}/ldap/user_filter", status=404)


async def test_a_configuration_is_replaced_as_a_whole_and_changed_in_parts(cloud: Cloud) -> None:
    path = await configured(cloud)
    changed = await cloud.admin.patch(path, {"config": {"ldap": {"url": "ldaps://else.test"}}}, status=200)
    assert changed.json["config"] == {**SEEN, "ldap": {**SEEN["ldap"], "url": "ldaps://else.test"}}
    body = {"config": {"identity": {"driver": "sql", "list_limit": 5}}}
    changed = await cloud.admin.patch(f"{path}/identity", body, status=200)
    assert changed.json["config"]["identity"] == {"driver": "sql", "list_limit": 5}
    changed = await cloud.admin.patch(f"{path}/identity/driver", {"config": {"driver": "other"}}, status=200)
    assert changed.json["config"]["identity"] == {"driver": "other", "list_limit": 5}
    await cloud.admin.delete(f"{path}/identity/driver", status=204)
    await cloud.admin.delete(f"{path}/identity/driver", status=404)
    await cloud.admin.delete(f"{path}/identity", status=204)
    await cloud.admin.get(f"{path}/identity", status=404)
    only = {"identity": {"driver": "sql"}}
    assert (await cloud.admin.put(path, {"config": only}, status=200)).json == {"config": only}
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)
    await cloud.admin.patch(path, {"config": only}, status=404)


async def test_secret_options_are_written_and_never_read(cloud: Cloud) -> None:
    path = await configured(cloud)
    for tail in ("", "/ldap"):
        assert b"a-secret-of-ldap" not in (await cloud.admin.get(path + tail, status=200)).body
    await cloud.admin.get(f"{path}/ldap/password", status=403)
    await cloud.admin.get(f"{V3}/domains/config/ldap/password/default", status=403)

    def kept(tx: Tx, ctx: Context) -> str:
        return repr(tx.all(sa.select(*DOMAIN_CONFIGS.c)))

    assert "a-secret-of-ldap" not in await context.internal(cloud.core).read(kept)
    changed = await cloud.admin.patch(f"{path}/ldap/password", {"config": {"password": "another-secret"}}, status=200)
    assert changed.json["config"] == SEEN and b"another-secret" not in changed.body


@pytest.mark.parametrize(("tail", "body", "status"), [
    ("", {}, 403), ("", {"colours": {"red": 1}}, 403), ("", {"ldap": {"colour": "red"}}, 403), ("", {"ldap": {}}, 403),
    ("", {"ldap": "all"}, 403), ("", {"ldap": {"use_tls": "perhaps"}}, 400), ("", {"ldap": {"page_size": "x"}}, 400),
    ("", {"ldap": {"url": {"a": "b"}}}, 400), ("", {"ldap": {"url": "x" * 5000}}, 400),
    ("/ldap", {"identity": {"driver": "sql"}}, 403), ("/ldap/url", {"user": "cn=x"}, 403), ("/colours", {"a": 1}, 403),
    ("/ldap/user_filter", {"user_filter": "(a=b)"}, 404), ("/ldap/colour", {"colour": "red"}, 403),
])
async def test_what_can_not_be_configured_is_refused(
    cloud: Cloud, tail: str, body: dict[str, Any], status: int
) -> None:
    path = await configured(cloud)
    await cloud.admin.patch(path + tail, {"config": body}, status=status)
    if not tail:
        await cloud.admin.put(path, {"config": body}, status=status)
    assert (await cloud.admin.get(path, status=200)).json == {"config": SEEN}


async def test_defaults_are_those_of_every_option_that_may_be_read(cloud: Cloud) -> None:
    everything = (await cloud.admin.get(f"{V3}/domains/config/default", status=200)).json["config"]
    assert everything["identity"]["driver"] == "sql" and "password" not in everything["ldap"]
    for group, options in everything.items():
        told = await cloud.admin.get(f"{V3}/domains/config/{group}/default", status=200)
        assert told.json["config"] == {group: options}
        for name, value in options.items():
            told = await cloud.admin.get(f"{V3}/domains/config/{group}/{name}/default", status=200)
            assert told.json["config"] == {name: value}
    await cloud.admin.get(f"{V3}/domains/config/colours/default", status=403)


async def test_what_a_password_must_be_like_is_for_everybody_to_read(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    told = await user.get(f"{V3}/domains/default/config/security_compliance", status=200)
    assert set(told.json["config"]["security_compliance"]) == {"password_regex", "password_regex_description"}
    one = await user.get(f"{V3}/domains/default/config/security_compliance/password_regex", status=200)
    assert set(one.json["config"]) == {"password_regex"}
    await user.get(f"{V3}/domains/default/config/security_compliance/lockout_duration", status=403)
    await user.get(f"{V3}/domains/{user.domain_id}/config/security_compliance", status=403)
    await user.get(f"{V3}/domains/default/config/ldap", status=403)


async def test_a_configuration_is_the_administrators_and_goes_with_its_domain(cloud: Cloud) -> None:
    user = await cloud.project(["manager"])
    path = f"{V3}/domains/{user.domain_id}/config"
    await cloud.admin.put(path, {"config": copy.deepcopy(CONFIG)}, status=201)
    await cloud.grant("manager", user.user_id, domain_id=user.domain_id)
    user.token = await cloud.token(user, {"domain": {"id": user.domain_id}})
    await user.get(path, status=403)
    await user.put(path, {"config": CONFIG}, status=403)
    await cloud.admin.patch(f"{V3}/domains/{user.domain_id}", {"domain": {"enabled": False}}, status=200)
    await cloud.admin.delete(f"{V3}/domains/{user.domain_id}", status=204)
    await cloud.admin.get(path, status=404)
    await cloud.admin.put(f"{V3}/domains/{'e' * 32}/config", {"config": CONFIG}, status=404)
