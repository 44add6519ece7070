# SPDX-License-Identifier: Apache-2.0
"""Compute's policy as data, under upstream's rule names.

The language is core/policy/language.py; a route names its rule where it is declared (api parts of
each resource). Rules of tenants' resources become WHERE clauses in every look-up.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import (
    ADMIN,
    ADMIN_OR_OWNER,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
)
from skyhold.core.policy.rules import Rule

PROJECT = ("project",)


def keypair(verb: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(f"os_compute_api:os-keypairs:{verb}", ADMIN_OR_OWNER, PROJECT, words, operations, lists=True)


KEYPAIRS_INDEX = keypair("index", "List keypairs.", ("GET", "/os-keypairs"))
KEYPAIRS_SHOW = keypair("show", "Show a keypair.", ("GET", "/os-keypairs/{keypair_name}"))
KEYPAIRS_CREATE = keypair("create", "Create or import a keypair.", ("POST", "/os-keypairs"))
KEYPAIRS_DELETE = keypair("delete", "Delete a keypair.", ("DELETE", "/os-keypairs/{keypair_name}"))


def server(name: str, check: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule("os_compute_api:" + name, check, PROJECT, words, operations, lists=True)


def action(name: str, words: str, key: str) -> Rule:
    """A rule of one server action, for members of the server's project."""
    return server(name, PROJECT_MEMBER_OR_ADMIN, words, ("POST", f"/servers/{{server_id}}/action ({key})"))


SERVERS_INDEX = server("servers:index", PROJECT_READER_OR_ADMIN, "List servers.", ("GET", "/servers"))
SERVERS_DETAIL = server(
    "servers:detail", PROJECT_READER_OR_ADMIN, "List servers with details.", ("GET", "/servers/detail")
)
SERVERS_ALL = server(
    "servers:detail:get_all_tenants", ADMIN, "List servers of all projects.", ("GET", "/servers/detail")
)
SERVERS_SHOW = server("servers:show", PROJECT_READER_OR_ADMIN, "Show a server.", ("GET", "/servers/{server_id}"))
SERVERS_CREATE = server("servers:create", PROJECT_MEMBER_OR_ADMIN, "Create a server.", ("POST", "/servers"))
FORCED_HOST = server("servers:create:forced_host", ADMIN, "Choose a server's host.", ("POST", "/servers"))
SERVERS_UPDATE = server("servers:update", PROJECT_MEMBER_OR_ADMIN, "Update a server.", ("PUT", "/servers/{server_id}"))
SERVERS_DELETE = server(
    "servers:delete", PROJECT_MEMBER_OR_ADMIN, "Delete a server.", ("DELETE", "/servers/{server_id}")
)
HOST_ATTRIBUTES = server("os-extended-server-attributes", ADMIN, "See a server's host and its like.")
HOST_STATUS = server("servers:show:host_status", ADMIN, "See the status of a server's host.")

START = action("servers:start", "Start a server.", "os-start")
STOP = action("servers:stop", "Stop a server.", "os-stop")
REBOOT = action("servers:reboot", "Reboot a server.", "reboot")
CREATE_IMAGE = action("servers:create_image", "Make an image of a server.", "createImage")
PAUSE = action("os-pause-server:pause", "Pause a server.", "pause")
UNPAUSE = action("os-pause-server:unpause", "Unpause a server.", "unpause")
SUSPEND = action("os-suspend-server:suspend", "Suspend a server.", "suspend")
RESUME = action("os-suspend-server:resume", "Resume a server.", "resume")
LOCK = action("os-lock-server:lock", "Lock a server.", "lock")
UNLOCK = action("os-lock-server:unlock", "Unlock a server.", "unlock")
UNLOCK_OVERRIDE = server("os-lock-server:unlock:unlock_override", ADMIN, "Act on a server an admin has locked.")
CONSOLE_OUTPUT = action("os-console-output", "Read a server's console log.", "os-getConsoleOutput")
ADD_GROUP = action("os-security-groups:add", "Add a security group to a server.", "addSecurityGroup")
REMOVE_GROUP = action("os-security-groups:remove", "Remove a security group from a server.", "removeSecurityGroup")
RESET_STATE = server(
    "os-admin-actions:reset_state", ADMIN, "Set a server's state.", ("POST", "/servers/{server_id}/action (os-resetState)")
)
INTERFACES_LIST = server(
    "os-attach-interfaces:list", PROJECT_READER_OR_ADMIN, "List a server's ports.",
    ("GET", "/servers/{server_id}/os-interface"),
)
INTERFACES_SHOW = server(
    "os-attach-interfaces:show", PROJECT_READER_OR_ADMIN, "Show a server's port.",
    ("GET", "/servers/{server_id}/os-interface/{port_id}"),
)
INTERFACES_CREATE = server(
    "os-attach-interfaces:create", PROJECT_MEMBER_OR_ADMIN, "Attach a port to a server.",
    ("POST", "/servers/{server_id}/os-interface"),
)
INTERFACES_DELETE = server(
    "os-attach-interfaces:delete", PROJECT_MEMBER_OR_ADMIN, "Detach a port from a server.",
    ("DELETE", "/servers/{server_id}/os-interface/{port_id}"),
)

RULES = [value for value in list(globals().values()) if isinstance(value, Rule)]
"""Every rule above; a rule is registered by being written down."""
