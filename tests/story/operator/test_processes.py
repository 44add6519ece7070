# SPDX-License-Identifier: Apache-2.0
"""The real processes, over TLS with a certificate of the cloud's own: what they log, and how they stop.

One cloud is started for the module, with fake drivers, and logs everything it can.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kit.patience import PATIENCE_S

SERVERS = "/compute/v2.1/servers"


@dataclass
class Running:
    """A cloud of processes, asked over its socket. Every secret it is told or tells is kept."""

    home: Path
    url: str
    secrets: set[str] = field(default_factory=set)
    token: str = ""

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.home / "keys/tls/ca.crt"))

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any, Any]:
        """Status, JSON and headers; errors too."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json", "X-Auth-Token": self.token if token is None else token}
        request = urllib.request.Request(self.url + path, raw, headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=20, context=self.trusting)
        except urllib.error.HTTPError as error:
            answer = error
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text, answer.headers

    def sign_in(self, identity: dict[str, Any], scope: Any = None) -> str:
        body = {"auth": {"identity": identity} | ({"scope": scope} if scope else {})}
        status, _, headers = self.ask("POST", "/identity/v3/auth/tokens", body, token="")
        assert status == 201
        self.secrets.add(headers["X-Subject-Token"])
        return str(headers["X-Subject-Token"])

    def sign_in_as_admin(self) -> None:
        password = (self.home / "admin-password").read_text().strip()
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        project = {"project": {"name": "admin", "domain": {"id": "default"}}}
        self.token = self.sign_in({"methods": ["password"], "password": {"user": user}}, project)

    def secret(self, words: str) -> str:
        self.secrets.add(made := f"{words}-{uuid.uuid4().hex}")
        return made

    def skyhold(self, *words: str) -> subprocess.CompletedProcess[str]:
        return skyhold(self.home, *words)

    def logs(self) -> str:
        return "".join(path.read_text() for path in (self.home / "log").glob("*.log"))


def skyhold(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "skyhold", *words, "--home", str(home)], capture_output=True, text=True, timeout=90,
        env=os.environ | {"HOME": str(home.parent)}, check=False,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("operated") / "cloud"
    home.mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (home / "skyhold.toml").write_text(
        f'[http]\nport = {port}\ntls = "auto"\n[host]\nhypervisor = "fake"\nnetwork = "fake"\n[log]\nlevel = "DEBUG"\n'
    )
    started = skyhold(home, "up")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        cloud = Running(home, f"https://127.0.0.1:{port}")
        password = (home / "admin-password").read_text().strip()
        cloud.secrets |= {password, (home / "demo-password").read_text().strip()}
        cloud.sign_in_as_admin()
        yield cloud
    finally:
        skyhold(home, "down")


def test_who_trusts_its_authority_reaches_the_cloud_and_nobody_else_does(running: Running) -> None:
    status, body, _ = running.ask("GET", "/identity/v3")
    assert status == 200 and body["version"]["links"][0]["href"].startswith("https://")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(running.url, timeout=5)
    clouds = yaml.safe_load((running.home / "clouds.yaml").read_text())["clouds"]
    assert {one["cacert"] for one in clouds.values()} == {str(running.home / "keys/tls/ca.crt")}
    assert (running.home / "keys/tls/server.key").stat().st_mode & 0o777 == 0o600


def test_the_logs_hold_no_secret_of_a_whole_story(running: Running) -> None:
    servers_password, wrong = running.secret("admin-pass"), running.secret("wrong")
    user_password, script = running.secret("user"), running.secret("#!/bin/sh echo")
    _, made, _ = running.ask("POST", "/identity/v3/users", {"user": {"name": "ana", "password": user_password}})
    ana = made["user"]["id"]
    _, roles, _ = running.ask("GET", "/identity/v3/roles?name=member")
    _, projects, _ = running.ask("GET", "/identity/v3/projects?name=demo")
    project = projects["projects"][0]["id"]
    role = roles["roles"][0]["id"]
    assert running.ask("PUT", f"/identity/v3/projects/{project}/users/{ana}/roles/{role}")[0] == 204
    signing = {"methods": ["password"], "password": {"user": {"id": ana, "password": user_password}}}
    token = running.sign_in(signing, {"project": {"id": project}})
    credential = {"application_credential": {"name": "robot", "secret": running.secret("app-cred")}}
    status, made, _ = running.ask("POST", f"/identity/v3/users/{ana}/application_credentials", credential, token)
    assert status == 201, made
    robot = {"id": made["application_credential"]["id"], "secret": credential["application_credential"]["secret"]}
    robots = running.sign_in({"methods": ["application_credential"], "application_credential": robot})
    status, made, _ = running.ask("POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "k"}}, token)
    assert status == 200
    running.secrets |= {line for line in made["keypair"]["private_key"].splitlines() if len(line) > 40}
    encoded = base64.b64encode(script.encode()).decode()
    running.secrets.add(encoded)
    _, images, _ = running.ask("GET", "/image/v2/images?name=tiny")
    _, networks, _ = running.ask("GET", "/network/v2.0/networks?name=private")
    wish = {
        "name": "secretive", "flavorRef": "1", "imageRef": images["images"][0]["id"], "adminPass": servers_password,
        "user_data": encoded, "networks": [{"uuid": networks["networks"][0]["id"]}],
    }
    status, made, headers = running.ask("POST", SERVERS, {"server": wish}, robots)
    assert status == 202, made
    request_id, server = headers["X-Openstack-Request-Id"], made["server"]["id"]
    wait_for(running, server)
    # What goes wrong is logged most: bad passwords, bodies that are no JSON, unknown keys, wrong types.
    bad = {"methods": ["password"], "password": {"user": {"id": ana, "password": wrong}}}
    assert running.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": bad}}, "")[0] == 401
    assert running.ask("POST", SERVERS, b'{"server": {"adminPass": "%s"' % wrong.encode())[0] == 400
    assert running.ask("POST", SERVERS, {"server": wish | {"unknown": wrong, "user_data": script}})[0] == 400
    assert running.ask("GET", SERVERS, token=wrong)[0] == 401
    assert running.ask("DELETE", f"{SERVERS}/{server}", token=token)[0] == 204

    logs = running.logs()
    leaked = [secret for secret in running.secrets if secret in logs]
    assert not leaked
    lines = [json.loads(line) for line in logs.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line.get("event") == "request"]
    assert len(requests) > 10 and all(line["request_id"].startswith("req-") for line in requests)
    verbs = [line for line in lines if line.get("event") == "verb" and line["request_id"] == request_id]
    assert "guest.ensure" in {line["verb"] for line in verbs}

    told = running.skyhold("admin", "trace", request_id)
    assert told.returncode == 0, told.stderr
    times = [line.split()[0] for line in told.stdout.splitlines()]
    assert times == sorted(times)
    assert "verb=guest.ensure" in told.stdout and "compute.boot" in told.stdout and "server.create" in told.stdout


def wait_for(running: Running, server: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while running.ask("GET", f"{SERVERS}/{server}")[1]["server"]["status"] != "ACTIVE":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_commands_of_an_operator_answer(running: Running) -> None:
    end = time.monotonic() + PATIENCE_S
    while (audit := running.skyhold("admin", "audit")).returncode and time.monotonic() < end:
        time.sleep(0.2)
    assert audit.returncode == 0 and "Everything fits together." in audit.stdout, audit.stdout + audit.stderr
    assert running.skyhold("admin", "saga", "list").returncode == 0
    unknown = running.skyhold("admin", "saga", "show", "nothing")
    assert unknown.returncode == 1 and "404" in unknown.stderr
    assert running.skyhold("admin", "trace", "req-unknown").returncode == 1


def test_an_administrator_who_locked_everybody_out_is_let_in_by_the_operator(running: Running) -> None:
    """While the cloud runs: it hears of it with the next request."""
    body = {"domain": {"enabled": False}}
    assert running.ask("PATCH", "/identity/v3/domains/default", body)[0] == 200
    refused = running.skyhold("admin", "saga", "list")
    assert refused.returncode == 1 and "`skyhold admin restore-access`" in refused.stderr
    told = running.skyhold("admin", "restore-access")
    assert told.returncode == 0 and "The domain Default was disabled; it is enabled." in told.stdout, told.stderr
    assert running.skyhold("admin", "saga", "list").returncode == 0
    again = running.skyhold("admin", "restore-access")
    assert again.returncode == 0 and "Nothing was in the way" in again.stdout
    running.sign_in_as_admin()


def test_a_torn_directory_after_a_power_cut_starts_again(running: Running) -> None:
    assert running.skyhold("down").returncode == 0
    run = running.home / "run"
    run.mkdir(exist_ok=True)
    for name in ("serve.pid", "host.pid", "control.lock", "host.lock"):
        (run / name).write_text("")
    (running.home / "keys/master/.1").write_bytes(b"half a k")
    (running.home / "keys/tls/server.crt").write_bytes(b"-----BEGIN CERT")
    with socket.socket(socket.AF_UNIX) as stale:
        (run / "bus.sock").unlink(missing_ok=True)
        stale.bind(str(run / "bus.sock"))
    started = running.skyhold("up")
    assert started.returncode == 0, started.stdout + started.stderr
    assert running.ask("GET", SERVERS)[0] == 200
