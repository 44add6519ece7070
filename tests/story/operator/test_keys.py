# SPDX-License-Identifier: Apache-2.0
"""Keys are rotated while the cloud runs, and nobody is logged out.

How a set of keys works is tests/unit/core/test_keyring.py.
"""

from __future__ import annotations

import dataclasses
import os
import time

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken

from skyhold.core import context
from skyhold.core.operator import keys
from skyhold.events.tables import WEBHOOKS
from skyhold.identity.auth.sessions import sessions
from skyhold.identity.delegation.tables import CREDENTIALS
from skyhold.identity.issuer import signing
from skyhold.identity.issuer.tables import KEYS
from tests.kit.cloud import Cloud, admin_of

ROTATE = "/admin/v1/rotate-keys"


async def sealed(cloud: Cloud, id: str, column: sa.Column[str] = WEBHOOKS.c.secret) -> str:
    found = sa.select(column).where(column.table.c.id == id)
    return str(await context.internal(cloud.core).read(lambda tx, ctx: tx.scalar(found)))


async def put(cloud: Cloud, table: sa.Table, id: str, **values: str) -> None:
    change = table.update().where(table.c.id == id).values(**values)
    await context.internal(cloud.core).write(lambda tx, ctx: tx.execute(change))


def signs_with_newest(cloud: Cloud, secret: str) -> bool:
    try:
        return bool(Fernet(cloud.core.keyring.keys[0]).decrypt(secret.encode()))
    except InvalidToken:
        return False


async def test_a_rotation_logs_nobody_out_and_seals_secrets_anew(cloud: Cloud) -> None:
    ana = await cloud.project()
    wish = {"webhook": {"name": "w", "url": "http://127.0.0.1:9/", "secret": "a-secret-of-some-length"}}
    id = (await ana.post("/events/v1/webhooks", wish, status=201)).json["webhook"]["id"]
    before = await sealed(cloud, id)
    directory = cloud.core.settings.fernet_keys_dir
    for round in range(2):
        await cloud.admin.post(ROTATE, {}, status=204)
        after = await sealed(cloud, id)
        assert after != before and signs_with_newest(cloud, after) and not signs_with_newest(cloud, before), round
        assert cloud.core.keyring.open(after) == b"a-secret-of-some-length"
        url = await sealed(cloud, id, WEBHOOKS.c.url)
        assert signs_with_newest(cloud, url) and cloud.core.keyring.open(url) == b"http://127.0.0.1:9/"
        await ana.get("/compute/v2.1/servers", status=200)
        before = after
    # A third would drop a key whose tokens are good: it is refused, and nothing is changed by trying.
    refused = await cloud.admin.post(ROTATE, {}, status=409)
    assert b"rotate again in" in refused.body
    assert await sealed(cloud, id) == before
    await ana.get("/compute/v2.1/servers", status=200)
    # Once those tokens have expired, it goes on.
    old = time.time() - cloud.core.settings.identity.token_lifetime_s - 5
    for path in directory.iterdir():
        os.utime(path, (old, old))
    await cloud.admin.post(ROTATE, {}, status=204)
    # The key of this run's tokens is the one that went: later stories sign in anew.
    cloud.admin.token = (await admin_of(cloud.core)).token


async def test_what_can_not_be_opened_is_told_and_keeps_nothing_else_from_being_sealed_anew(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is new by then: whatever stayed behind would be lost two rotations later."""
    identity = cloud.core.services["identity"]
    monkeypatch.setitem(cloud.core.services, "identity", dataclasses.replace(identity, rotations=[]))
    ana = await cloud.project()
    hooks, credentials = [], []
    for number in range(3):
        wish = {"webhook": {"url": "http://127.0.0.1:9/", "secret": f"a-secret-of-some-length-{number}"}}
        hooks.append((await ana.post("/events/v1/webhooks", wish, status=201)).json["webhook"]["id"])
        key = {"credential": {"type": "cert", "blob": f"blob-{number}", "user_id": ana.user_id}}
        credentials.append((await ana.post("/identity/v3/credentials", key, status=201)).json["credential"]["id"])
    unknown = Fernet(Fernet.generate_key()).encrypt(b"of another cloud").decode()
    await put(cloud, WEBHOOKS, sorted(hooks)[0], secret=unknown)
    await put(cloud, CREDENTIALS, sorted(credentials)[0], blob="not sealed at all")
    told = (await cloud.admin.post(ROTATE, {}, status=200)).json["unopened"]
    assert sorted(told) == [
        f"events_webhooks.secret of {sorted(hooks)[0]}", f"identity_credentials.blob of {sorted(credentials)[0]}",
    ]
    assert await sealed(cloud, sorted(hooks)[0]) == unknown, "it may be that the key is found again"
    for hook in sorted(hooks)[1:]:
        assert signs_with_newest(cloud, await sealed(cloud, hook))
    for credential in sorted(credentials)[1:]:
        assert signs_with_newest(cloud, await sealed(cloud, credential, CREDENTIALS.c.blob))
    told = await ana.get(f"/identity/v3/credentials/{sorted(credentials)[0]}", status=503)
    assert "brings the key back" in told.json["error"]["message"]
    for path in [*(f"/events/v1/webhooks/{id}" for id in hooks),
                 *(f"/identity/v3/credentials/{id}" for id in credentials)]:
        await ana.delete(path, status=204)
    await cloud.admin.post(ROTATE, {}, status=204)


async def test_an_issuer_s_key_that_cannot_be_opened_is_left_out_and_another_signs(cloud: Cloud) -> None:
    ctx = context.internal(cloud.core)
    known = {each.kid for each in await signing.keys(ctx)}
    lost = await ctx.read(lambda tx, ctx: tx.all(sa.select(KEYS.c.id, KEYS.c.sealed)))
    for row in lost:
        await put(cloud, KEYS, row.id, sealed="not sealed at all")
    cloud.core.shelf.pop(signing.SHELF)
    shown = (await cloud.client().get("/identity/oidc/jwks", status=200)).json["keys"]
    assert shown and not known & {each["kid"] for each in shown}
    for row in lost:
        await put(cloud, KEYS, row.id, sealed=row.sealed)
    cloud.core.shelf.pop(signing.SHELF)
    shown = (await cloud.client().get("/identity/oidc/jwks", status=200)).json["keys"]
    assert known <= {each["kid"] for each in shown}, "the master key was found again"


async def test_key_21_keys_rotate_by_themselves_when_they_are_old(cloud: Cloud) -> None:
    ana = await cloud.project()
    master = cloud.core.settings.keys_dir / "master"
    before = cloud.core.keyring.keys[0]
    await keys.rotate_when_due(context.internal(cloud.core))
    assert cloud.core.keyring.keys[0] == before
    old = time.time() - 31 * 86_400
    for directory in (master, cloud.core.settings.fernet_keys_dir):
        for path in directory.iterdir():
            os.utime(path, (old, old))
    token_key = sessions(cloud.core).keys.keys[0]
    await keys.rotate_when_due(context.internal(cloud.core))
    assert cloud.core.keyring.keys[1] == before
    assert sessions(cloud.core).keys.keys[1] == token_key
    await ana.get("/compute/v2.1/servers", status=200)
    await keys.rotate_when_due(context.internal(cloud.core))
    assert cloud.core.keyring.keys[1] == before


async def test_only_administrators_rotate(cloud: Cloud) -> None:
    ana = await cloud.project()
    await ana.post(ROTATE, {}, status=403)
