# SPDX-License-Identifier: Apache-2.0
"""The check strings and base rules that nearly every service's policy.py is written with.

Rules of single operations are in each service's policy.py. The one thing to know first: a check
names the least role that suffices, because identity has already added the implied roles
(admin implies manager implies member implies reader).
"""

from __future__ import annotations

from typing import Final

from skyhold.core.policy.rules import Rule

ANYONE: Final = "@"
NOBODY: Final = "!"

ADMIN: Final = "role:admin"
IN_PROJECT: Final = "project_id:%(project_id)s"
OWNER: Final = "user_id:%(user_id)s"

PROJECT_MANAGER: Final = f"role:manager and {IN_PROJECT}"
PROJECT_MEMBER: Final = f"role:member and {IN_PROJECT}"
PROJECT_READER: Final = f"role:reader and {IN_PROJECT}"

PROJECT_MANAGER_OR_ADMIN: Final = f"{ADMIN} or ({PROJECT_MANAGER})"
PROJECT_MEMBER_OR_ADMIN: Final = f"{ADMIN} or ({PROJECT_MEMBER})"
PROJECT_READER_OR_ADMIN: Final = f"{ADMIN} or ({PROJECT_READER})"

SYSTEM_ADMIN: Final = "role:admin and system_scope:all"
SYSTEM_READER: Final = "role:reader and system_scope:all"
SERVICE: Final = "role:service"
ADMIN_OR_SERVICE: Final = f"{ADMIN} or {SERVICE}"
ADMIN_OR_OWNER: Final = f"{ADMIN} or {OWNER}"

SCOPE_PROJECT: Final = ("project",)
SCOPE_SYSTEM_PROJECT: Final = ("system", "project")

BASE: Final = (
    Rule("admin", ADMIN, description="An administrator of the cloud."),
    Rule("project_manager", PROJECT_MANAGER, description="A manager of the target's project."),
    Rule("project_member", PROJECT_MEMBER, description="A member of the target's project."),
    Rule("project_reader", PROJECT_READER, description="Somebody who may see the target's project."),
    Rule("project_manager_or_admin", PROJECT_MANAGER_OR_ADMIN, description="Its manager, or an admin."),
    Rule("project_member_or_admin", PROJECT_MEMBER_OR_ADMIN, description="Its member, or an admin."),
    Rule("project_reader_or_admin", PROJECT_READER_OR_ADMIN, description="Its reader, or an admin."),
    Rule("system_admin", SYSTEM_ADMIN, description="An administrator with a token for the system."),
    Rule("system_reader", SYSTEM_READER, description="A reader with a token for the system."),
    Rule("owner", OWNER, description="The user the target belongs to."),
    Rule("admin_or_owner", ADMIN_OR_OWNER, description="The user it belongs to, or an admin."),
    Rule("service", SERVICE, description="Another service of the cloud."),
    # Names that operators' existing policy files refer to.
    Rule("admin_required", "rule:admin", description="Alias of admin."),
    Rule("context_is_admin", "rule:admin", description="Alias of admin."),
    Rule("admin_api", "rule:admin", description="Alias of admin."),
)
