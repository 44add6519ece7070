# SPDX-License-Identifier: Apache-2.0
"""The object store's policy as data.

Upstream has no policy file here: these are the roles of its Keystone middleware as rules, with `member` and `admin`
as operators, `reader` as a project's reader and ResellerAdmin for every account. What a container's access lists
add to a rule is engine/access.py's.
"""

from __future__ import annotations

from typing import Final

from skyhold.core.policy.defaults import IN_PROJECT, SCOPE_PROJECT
from skyhold.core.policy.rules import Rule

RESELLER: Final = "role:ResellerAdmin"
OPERATOR: Final = f"{RESELLER} or (role:member and {IN_PROJECT})"
READER: Final = f"{RESELLER} or (role:reader and {IN_PROJECT})"

ACCOUNT: Final = "/v1/AUTH_{project_id}"
CONTAINER: Final = ACCOUNT + "/{container}"
OBJECT: Final = CONTAINER + "/{object_name:path}"


def rule(name: str, check: str, words: str, path: str, *methods: str) -> Rule:
    return Rule(f"object:{name}", check, SCOPE_PROJECT, words, tuple((method, path) for method in methods))


SHOW_ACCOUNT = rule("account:get", READER, "List containers, see an account's metadata.", ACCOUNT, "GET", "HEAD")
CHANGE_ACCOUNT = rule("account:update", OPERATOR, "Change an account's metadata.", ACCOUNT, "POST")
SET_QUOTA = rule("account:set_quota", RESELLER, "Say how much an account may hold.", ACCOUNT, "POST")
SHOW_CONTAINER = rule("container:get", READER, "List objects, see a container's metadata.", CONTAINER, "GET", "HEAD")
MAKE_CONTAINER = rule("container:create", OPERATOR, "Make a container.", CONTAINER, "PUT")
CHANGE_CONTAINER = rule("container:update", OPERATOR, "Change a container's metadata and lists.", CONTAINER, "POST")
DELETE_CONTAINER = rule("container:delete", OPERATOR, "Delete an empty container.", CONTAINER, "DELETE")
SHOW_OBJECT = rule("object:get", READER, "Download an object, see its metadata.", OBJECT, "GET", "HEAD")
WRITE_OBJECT = rule("object:create", OPERATOR, "Upload or copy an object.", OBJECT, "PUT", "COPY")
CHANGE_OBJECT = rule("object:update", OPERATOR, "Change an object's metadata.", OBJECT, "POST")
DELETE_OBJECT = rule("object:delete", OPERATOR, "Delete an object.", OBJECT, "DELETE")

RULES = [
    SHOW_ACCOUNT, CHANGE_ACCOUNT, SET_QUOTA, SHOW_CONTAINER, MAKE_CONTAINER, CHANGE_CONTAINER, DELETE_CONTAINER,
    SHOW_OBJECT, WRITE_OBJECT, CHANGE_OBJECT, DELETE_OBJECT,
]
