# SPDX-License-Identifier: Apache-2.0
"""Invariant 11 on the disk: what is secret is in no file of a cloud's directory but those that are made to hold it.

What the logs hold of a server's story is test_processes.py; how a secret is sealed tests/unit/core/test_keyring.py.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.patience import PATIENCE_S
from tests.story.operator import test_processes
from tests.story.operator.test_processes import SERVERS, Running, wait_for

running = test_processes.running

OWN_FILES = ("keys", "admin-password", "demo-password", "clouds.yaml", "openrc")
"""Of the operator alone: the keys themselves, and the passwords of the first users."""
V3 = "/identity/v3"


def test_invariant_11_no_secret_of_any_service_is_on_the_disk_in_plain_words(running: Running) -> None:
    ana, project, token = a_user(running)
    robots(running, ana, project, token)
    identity_providers(running)
    a_webhook(running, token)
    a_server(running, token)
    spilled = [f"{path.relative_to(running.home)} has {secret[:12]}…"
               for path in files(running.home) for secret in running.secrets if secret.encode() in path.read_bytes()]
    assert not spilled, "\n".join(spilled)
    database = running.home / "skyhold.db"
    kept = database.read_bytes() + database.with_name("skyhold.db-wal").read_bytes()
    assert b"a-name-that-is-no-secret" in kept, "else nothing would be found"
    assert database.stat().st_mode & 0o077 == 0


def files(home: Path) -> Iterator[Path]:
    for path in home.rglob("*"):
        if path.is_file() and path.relative_to(home).parts[0] not in OWN_FILES:
            yield path


def a_user(running: Running) -> tuple[str, str, str]:
    """(user, project, token) of somebody with a password that was changed once."""
    passwords = [running.secret("first"), running.secret("second")]
    _, made, _ = running.ask("POST", f"{V3}/users", {"user": {"name": "ana", "password": passwords[0]}})
    ana = made["user"]["id"]
    _, roles, _ = running.ask("GET", f"{V3}/roles?name=member")
    _, projects, _ = running.ask("GET", f"{V3}/projects?name=demo")
    project = projects["projects"][0]["id"]
    assert running.ask("PUT", f"{V3}/projects/{project}/users/{ana}/roles/{roles['roles'][0]['id']}")[0] == 204
    change = {"user": {"original_password": passwords[0], "password": passwords[1]}}
    assert running.ask("POST", f"{V3}/users/{ana}/password", change)[0] == 204
    signing = {"methods": ["password"], "password": {"user": {"id": ana, "password": passwords[1]}}}
    return ana, project, running.sign_in(signing, {"project": {"id": project}})


def robots(running: Running, ana: str, project: str, token: str) -> None:
    """Whatever else signs in as her: an application credential, keys, one-time passwords, a consumer's secret."""
    robot = {"application_credential": {"name": "robot", "secret": running.secret("robot")}}
    status, _, _ = running.ask("POST", f"{V3}/users/{ana}/application_credentials", robot, token)
    assert status == 201
    status, key, _ = running.ask("POST", f"{V3}/users/{ana}/credentials/OS-EC2", {"tenant_id": project}, token)
    assert status == 201
    running.secrets.add(key["credential"]["secret"])
    for kind in ("totp", "cert"):
        blob = base64.b32encode(running.secret(kind).encode()).decode()
        running.secrets.add(blob)
        credential = {"type": kind, "blob": blob, "user_id": ana, "project_id": project}
        assert running.ask("POST", f"{V3}/credentials", {"credential": credential}, token)[0] == 201
    status, made, _ = running.ask("POST", f"{V3}/OS-OAUTH1/consumers", {"consumer": {"description": "c"}})
    assert status == 201
    running.secrets.add(made["consumer"]["secret"])


def identity_providers(running: Running) -> None:
    """What is told of elsewhere: a directory's password, and what another program signs in by."""
    _, made, _ = running.ask("POST", f"{V3}/domains", {"domain": {"name": "elsewhere"}})
    config = {"ldap": {"url": "ldap://directory.test", "user": "cn=a", "password": running.secret("ldap")}}
    assert running.ask("PUT", f"{V3}/domains/{made['domain']['id']}/config", {"config": config})[0] == 201
    client = {"client": {"name": "app", "redirect_uris": ["https://app.test/back"]}}
    status, made, _ = running.ask("POST", f"{V3}/OS-OIDC/clients", client)
    assert status == 201
    if secret := made["client"].get("client_secret"):
        running.secrets.add(secret)


def a_webhook(running: Running, token: str) -> None:
    url = f"https://hooks.test/{running.secret('path')}?token={running.secret('query')}"
    hook = {"name": "h", "url": url, "secret": running.secret("webhook"), "enabled": False}
    status, made, _ = running.ask("POST", "/events/v1/webhooks", {"webhook": hook}, token)
    assert status == 201, made


def a_server(running: Running, token: str) -> None:
    """With a password of its own, and a token that its host fetched the image by."""
    _, images, _ = running.ask("GET", "/image/v2/images?name=tiny")
    _, networks, _ = running.ask("GET", "/network/v2.0/networks?name=private")
    wish = {"name": "a-name-that-is-no-secret", "flavorRef": "1", "imageRef": images["images"][0]["id"],
            "networks": [{"uuid": networks["networks"][0]["id"]}], "adminPass": running.secret("server")}
    status, made, _ = running.ask("POST", SERVERS, {"server": wish}, token)
    assert status == 202, made
    wait_for(running, made["server"]["id"])
    assert running.ask("DELETE", f"{SERVERS}/{made['server']['id']}", token=token)[0] == 204
    end = time.monotonic() + PATIENCE_S
    while running.ask("GET", f"{SERVERS}/{made['server']['id']}")[0] != 404:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("name", OWN_FILES)
def test_what_holds_secrets_is_the_operators_alone(running: Running, name: str) -> None:
    at = running.home / name
    assert all(path.stat().st_mode & 0o077 == 0 for path in (at, *at.rglob("*")) if not path.name.endswith(".crt"))
