# SPDX-License-Identifier: Apache-2.0
"""Policy of events as data: readers of a project see what happened in it, its members aim webhooks.

A route names its rule where it is declared. An administrator sees the events of all projects, and only
one may make a webhook that gets them.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import (
    ADMIN,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    SCOPE_SYSTEM_PROJECT,
)
from skyhold.core.policy.rules import Rule

RULES: list[Rule] = []


def rule(name: str, check: str, words: str, method: str, path: str) -> Rule:
    made = Rule(f"events:{name}", check, SCOPE_SYSTEM_PROJECT, words, ((method, path),), lists=True)
    RULES.append(made)
    return made


ONE = "/webhooks/{webhook_id}"

EVENTS_LIST = rule("events:list", PROJECT_READER_OR_ADMIN, "Read or follow what happened.", "GET", "/events")
EVENTS_STATE = rule(
    "events:state", ADMIN, "See every attribute of what changed, not only those that all may see.", "GET", "/events"
)
WEBHOOKS_LIST = rule("webhooks:list", PROJECT_READER_OR_ADMIN, "List webhooks.", "GET", "/webhooks")
WEBHOOKS_SHOW = rule("webhooks:show", PROJECT_READER_OR_ADMIN, "Show a webhook.", "GET", ONE)
WEBHOOKS_CREATE = rule("webhooks:create", PROJECT_MEMBER_OR_ADMIN, "Create a webhook.", "POST", "/webhooks")
WEBHOOKS_ALL_PROJECTS = rule(
    "webhooks:all_projects", ADMIN, "Make a webhook that gets the events of all projects, or change one.",
    "POST", "/webhooks",
)
WEBHOOKS_UPDATE = rule("webhooks:update", PROJECT_MEMBER_OR_ADMIN, "Change a webhook.", "PATCH", ONE)
WEBHOOKS_DELETE = rule("webhooks:delete", PROJECT_MEMBER_OR_ADMIN, "Delete a webhook.", "DELETE", ONE)
