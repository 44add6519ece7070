# SPDX-License-Identifier: Apache-2.0
"""Policy of the operator's service: administrators of the cloud, and nobody else.

A route names its rule where it is declared. There is no project to look at: what is shown here
belongs to all of them.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN, SCOPE_SYSTEM_PROJECT
from skyhold.core.policy.rules import Rule

RULES: list[Rule] = []


def rule(name: str, words: str, method: str, path: str) -> Rule:
    made = Rule(f"operator:{name}", ADMIN, SCOPE_SYSTEM_PROJECT, words, ((method, path),))
    RULES.append(made)
    return made


AUDIT = rule("audit", "Compare database, hosts, data plane and placement.", "GET", "/v1/audit")
SAGAS_SEE = rule("sagas:see", "See the work under way.", "GET", "/v1/sagas")
SAGAS_STEER = rule("sagas:steer", "Retry or abort work under way.", "POST", "/v1/sagas/{saga_id}/retry")
TRACE = rule("trace", "Read all that a request did.", "GET", "/v1/trace/{request_id}")
MEND = rule("mend", "Set right what an audit found.", "POST", "/v1/mend/{kind}/{finding_id}")
ROTATE = rule("rotate_keys", "Make new keys.", "POST", "/v1/rotate-keys")
