# SPDX-License-Identifier: Apache-2.0
"""Identity's lines: tokens issued and validated, a long list of projects, what ten thousand assignments come to.

Seeds are made through the API. Passwords are hashed as in production: nothing is made cheap.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from cloud import Cloud
from figures import Goal, Line, repeat
from nacl.pwhash import argon2id
from wire import Wire, per_thread

from skyhold.core.settings.sections import Identity

TOKENS = "/identity/v3/auth/tokens"


def token_issue(cloud: Cloud) -> dict[str, Any]:
    """Nearly all of it is the hash of the password; what that takes alone tells one machine, or day, from another."""
    wire, body = per_thread(lambda: Wire(cloud.port)), cloud.sign_in_body()
    alone_ms = hash_cpu_ms()
    return repeat(cloud, lambda i: wire().ask("POST", TOKENS, body), 60) | {"note": f"the hash alone {alone_ms:.1f} ms"}


def hash_cpu_ms(times: int = 20) -> float:
    """The median CPU time of checking a password in this process, as strong as in production."""
    set_to = Identity()
    stored = argon2id.str(b"a-password", set_to.password_time_cost, set_to.password_memory_kib * 1024)
    taken = []
    for _ in range(times):
        began = time.process_time()
        argon2id.verify(stored, b"a-password")
        taken.append(time.process_time() - began)
    return statistics.median(taken) * 1e3


def token_validate(cloud: Cloud) -> dict[str, Any]:
    """Twenty users' tokens in turn, as a service validates them."""
    subjects = [cloud.sign_in(Wire(cloud.port)) for _ in range(20)]
    wire = per_thread(cloud.wire)
    return repeat(
        cloud, lambda i: wire().ask("GET", TOKENS, headers={"X-Subject-Token": subjects[i % 20]}), 2000, warm=100
    )


def list_projects(cloud: Cloud) -> dict[str, Any]:
    wire = per_thread(cloud.wire)
    have = len(wire().ask("GET", "/identity/v3/projects").json["projects"])
    for i in range(have, 1000):
        wire().ask("POST", "/identity/v3/projects", {"project": {"name": f"p{i}", "domain_id": "default"}})
    listed = wire().ask("GET", "/identity/v3/projects").json["projects"]
    if len(listed) != 1000:
        raise SystemExit(f"{len(listed)} projects are listed instead of 1,000")
    return repeat(cloud, lambda i: wire().ask("GET", "/identity/v3/projects"), 100)


def effective_assignments(cloud: Cloud) -> dict[str, Any]:
    """A hundred users, each with a role in each of a hundred projects."""
    wire = per_thread(cloud.wire)
    v3 = "/identity/v3"
    role = wire().ask("GET", f"{v3}/roles?name=reader").json["roles"][0]["id"]

    def make(kind: str, i: int) -> str:
        body = {kind: {"name": f"assigned{i}", "domain_id": "default"}}
        return str(wire().ask("POST", f"{v3}/{kind}s", body).json[kind]["id"])

    users, projects = ([make(kind, i) for i in range(100)] for kind in ("user", "project"))
    for project in projects:
        for user in users:
            wire().ask("PUT", f"{v3}/projects/{project}/users/{user}/roles/{role}")
    path = f"{v3}/role_assignments?effective"
    found = len(wire().ask("GET", path).json["role_assignments"])
    if found < 10_000:
        raise SystemExit(f"{found} assignments are effective instead of 10,000")
    figures = repeat(cloud, lambda i: wire().ask("GET", path), 30)
    for project in projects:
        wire().ask("DELETE", f"{v3}/projects/{project}")
    return figures


LINES = [
    Line("token issue (password)", Goal("cpu_ms", 25, "<= 25 ms CPU"), token_issue),
    Line("token validate", Goal("cpu_ms", 0.3, "<= 0.3 ms CPU"), token_validate),
    Line("list 1,000 projects", Goal("cpu_ms", 6, "<= 6 ms CPU"), list_projects),
    Line("10,000 effective assignments", Goal("cpu_ms", 50, "<= 50 ms CPU"), effective_assignments),
]
