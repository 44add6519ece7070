# SPDX-License-Identifier: Apache-2.0
"""Compute's policy as data, under upstream's rule names.

The language is core/policy/language.py; a route names its rule where it is declared (api parts of
each resource). Rules of tenants' resources become WHERE clauses in every look-up.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import (
    ADMIN,
    ADMIN_OR_OWNER,
    ANYONE,
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
    "os-admin-actions:reset_state", ADMIN, "Set a server's state.",
    ("POST", "/servers/{server_id}/action (os-resetState)"),
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


def volumes_rule(verb: str, check: str, words: str, *operations: tuple[str, str]) -> Rule:
    return server(f"os-volumes-attachments:{verb}", check, words, *operations)


VOLUMES = "/servers/{server_id}/os-volume_attachments"
VOLUMES_LIST = volumes_rule("index", PROJECT_READER_OR_ADMIN, "List a server's volumes.", ("GET", VOLUMES))
VOLUMES_SHOW = volumes_rule(
    "show", PROJECT_READER_OR_ADMIN, "Show a server's volume.", ("GET", VOLUMES + "/{volume_id}")
)
VOLUMES_CREATE = volumes_rule(
    "create", PROJECT_MEMBER_OR_ADMIN, "Attach a volume to a server.", ("POST", VOLUMES)
)
VOLUMES_UPDATE = volumes_rule(
    "update", PROJECT_MEMBER_OR_ADMIN, "Change how a volume is attached.", ("PUT", VOLUMES + "/{volume_id}")
)
VOLUMES_SWAP = volumes_rule(
    "swap", ADMIN, "Put another volume in the place of one.", ("PUT", VOLUMES + "/{volume_id}")
)
VOLUMES_DELETE = volumes_rule(
    "delete", PROJECT_MEMBER_OR_ADMIN, "Detach a volume from a server.", ("DELETE", VOLUMES + "/{volume_id}")
)

FLAVORS = Rule(
    "os_compute_api:flavors", ANYONE, (), "List and show flavors.",
    (("GET", "/flavors"), ("GET", "/flavors/detail"), ("GET", "/flavors/{flavor_id}")), lists=True,
)
FLAVORS_ALL = Rule("os_compute_api:flavors:all", ADMIN, (), "See flavors of other projects.")


def flavor_manage(verb: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(f"os_compute_api:os-flavor-{verb}", ADMIN, PROJECT, words, operations)


FLAVORS_CREATE = flavor_manage("manage:create", "Create a flavor.", ("POST", "/flavors"))
FLAVORS_UPDATE = flavor_manage("manage:update", "Describe a flavor.", ("PUT", "/flavors/{flavor_id}"))
FLAVORS_DELETE = flavor_manage("manage:delete", "Delete a flavor.", ("DELETE", "/flavors/{flavor_id}"))
FLAVOR_ACCESS_LIST = flavor_manage(
    "access", "List who may use a private flavor.", ("GET", "/flavors/{flavor_id}/os-flavor-access")
)
FLAVOR_ACCESS_ADD = flavor_manage(
    "access:add_tenant_access", "Let a project use a flavor.",
    ("POST", "/flavors/{flavor_id}/action (addTenantAccess)"),
)
FLAVOR_ACCESS_REMOVE = flavor_manage(
    "access:remove_tenant_access", "No longer let a project use a flavor.",
    ("POST", "/flavors/{flavor_id}/action (removeTenantAccess)"),
)


def extra_specs(verb: str, check: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(f"os_compute_api:os-flavor-extra-specs:{verb}", check, PROJECT, words, operations)


EXTRA_SPECS = "/flavors/{flavor_id}/os-extra_specs"
EXTRA_SPECS_INDEX = extra_specs(
    "index", PROJECT_READER_OR_ADMIN, "List a flavor's extra specs.", ("GET", EXTRA_SPECS)
)
EXTRA_SPECS_SHOW = extra_specs(
    "show", PROJECT_READER_OR_ADMIN, "Show one extra spec.", ("GET", EXTRA_SPECS + "/{spec_key}")
)
EXTRA_SPECS_CREATE = extra_specs("create", ADMIN, "Set a flavor's extra specs.", ("POST", EXTRA_SPECS))
EXTRA_SPECS_UPDATE = extra_specs(
    "update", ADMIN, "Change one of a flavor's extra specs.", ("PUT", EXTRA_SPECS + "/{spec_key}")
)
EXTRA_SPECS_DELETE = extra_specs(
    "delete", ADMIN, "Delete one of a flavor's extra specs.", ("DELETE", EXTRA_SPECS + "/{spec_key}")
)


def quota_rule(name: str, check: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule("os_compute_api:os-quota-" + name, check, PROJECT, words, operations)


QUOTA_SET = "/os-quota-sets/{tenant_id}"
QUOTAS_SHOW = quota_rule("sets:show", PROJECT_READER_OR_ADMIN, "Show a project's quota.", ("GET", QUOTA_SET))
QUOTAS_DETAIL = quota_rule(
    "sets:detail", PROJECT_READER_OR_ADMIN, "Show a project's quota and usage.", ("GET", QUOTA_SET + "/detail")
)
QUOTAS_DEFAULTS = quota_rule("sets:defaults", ANYONE, "Show the default quota.", ("GET", QUOTA_SET + "/defaults"))
QUOTAS_UPDATE = quota_rule("sets:update", ADMIN, "Change a project's quota.", ("PUT", QUOTA_SET))
QUOTAS_DELETE = quota_rule("sets:delete", ADMIN, "Give a project the default quota.", ("DELETE", QUOTA_SET))
QUOTA_CLASSES_SHOW = quota_rule("class-sets:show", ADMIN, "Show a quota class.", ("GET", "/os-quota-class-sets/{id}"))
QUOTA_CLASSES_UPDATE = quota_rule(
    "class-sets:update", ADMIN, "Change a quota class.", ("PUT", "/os-quota-class-sets/{id}")
)
LIMITS = Rule("os_compute_api:limits", ANYONE, PROJECT, "Show one's limits and usage.", (("GET", "/limits"),))
LIMITS_OF_OTHERS = Rule(
    "os_compute_api:limits:other_project", PROJECT_READER_OR_ADMIN, PROJECT, "Show a project's limits and usage.",
    (("GET", "/limits?tenant_id="),),
)


def operators(name: str, words: str, *operations: tuple[str, str]) -> Rule:
    """A rule of what only administrators do."""
    return Rule("os_compute_api:" + name, ADMIN, PROJECT, words, operations)


ZONES_LIST = Rule(
    "os_compute_api:os-availability-zone:list", ANYONE, PROJECT, "List availability zones.",
    (("GET", "/os-availability-zone"),),
)
ZONES_DETAIL = operators(
    "os-availability-zone:detail", "List availability zones with hosts.", ("GET", "/os-availability-zone/detail")
)
SERVICES_LIST = operators("os-services:list", "List services.", ("GET", "/os-services"))
SERVICES_UPDATE = operators(
    "os-services:update", "Enable, disable or force down a service.", ("PUT", "/os-services/{service_id}"),
    ("PUT", "/os-services/enable"), ("PUT", "/os-services/disable"), ("PUT", "/os-services/disable-log-reason"),
    ("PUT", "/os-services/force-down"),
)
SERVICES_DELETE = operators("os-services:delete", "Forget a service.", ("DELETE", "/os-services/{service_id}"))
HYPERVISORS_LIST = operators("os-hypervisors:list", "List hypervisors.", ("GET", "/os-hypervisors"))
HYPERVISORS_DETAIL = operators(
    "os-hypervisors:list-detail", "List hypervisors with details.", ("GET", "/os-hypervisors/detail")
)
HYPERVISORS_STATISTICS = operators(
    "os-hypervisors:statistics", "Sum up all hypervisors.", ("GET", "/os-hypervisors/statistics")
)
HYPERVISORS_SHOW = operators("os-hypervisors:show", "Show a hypervisor.", ("GET", "/os-hypervisors/{hypervisor_id}"))
HYPERVISORS_UPTIME = operators(
    "os-hypervisors:uptime", "Show how long a hypervisor has been up.",
    ("GET", "/os-hypervisors/{hypervisor_id}/uptime"),
)
HYPERVISORS_SEARCH = operators(
    "os-hypervisors:search", "Find hypervisors by name.", ("GET", "/os-hypervisors/{pattern}/search")
)
HYPERVISORS_SERVERS = operators(
    "os-hypervisors:servers", "Find servers by their hypervisor's name.", ("GET", "/os-hypervisors/{pattern}/servers")
)

ACTIONS_PATH = "/servers/{server_id}/os-instance-actions"
ACTIONS_LIST = server(
    "os-instance-actions:list", PROJECT_READER_OR_ADMIN, "List what was done to a server.", ("GET", ACTIONS_PATH)
)
ACTIONS_SHOW = server(
    "os-instance-actions:show", PROJECT_READER_OR_ADMIN, "Show one thing that was done to a server.",
    ("GET", ACTIONS_PATH + "/{request_id}"),
)
ACTIONS_EVENTS = server(
    "os-instance-actions:events", ADMIN, "See an action's events before 2.51, later their host and traceback.",
    ("GET", ACTIONS_PATH + "/{request_id}"),
)
ACTIONS_DETAILS = server(
    "os-instance-actions:events:details", ADMIN, "See why an action's event failed.",
    ("GET", ACTIONS_PATH + "/{request_id}"),
)


def part(name: str, words: str, *operations: tuple[str, str]) -> Rule:
    """A rule of something that a server has: reading it is for readers, changing it for members."""
    reads = all(method == "GET" for method, _ in operations)
    return server(name, PROJECT_READER_OR_ADMIN if reads else PROJECT_MEMBER_OR_ADMIN, words, *operations)


METADATA = "/servers/{server_id}/metadata"
METADATA_INDEX = part("server-metadata:index", "List a server's metadata.", ("GET", METADATA))
METADATA_SHOW = part("server-metadata:show", "Show one item of a server's metadata.", ("GET", METADATA + "/{key}"))
METADATA_CREATE = part("server-metadata:create", "Add to a server's metadata.", ("POST", METADATA))
METADATA_REPLACE = part("server-metadata:update_all", "Replace a server's metadata.", ("PUT", METADATA))
METADATA_UPDATE = part("server-metadata:update", "Set one item of a server's metadata.", ("PUT", METADATA + "/{key}"))
METADATA_DELETE = part("server-metadata:delete", "Delete an item of metadata.", ("DELETE", METADATA + "/{key}"))
TAGS = "/servers/{server_id}/tags"
TAGS_INDEX = part("os-server-tags:index", "List a server's tags.", ("GET", TAGS))
TAGS_SHOW = part("os-server-tags:show", "Ask whether a server has a tag.", ("GET", TAGS + "/{tag}"))
TAGS_UPDATE = part("os-server-tags:update", "Add a tag to a server.", ("PUT", TAGS + "/{tag}"))
TAGS_REPLACE = part("os-server-tags:update_all", "Replace a server's tags.", ("PUT", TAGS))
TAGS_DELETE = part("os-server-tags:delete", "Take a tag from a server.", ("DELETE", TAGS + "/{tag}"))
TAGS_DELETE_ALL = part("os-server-tags:delete_all", "Take all tags from a server.", ("DELETE", TAGS))
IPS_INDEX = part("ips:index", "List a server's addresses.", ("GET", "/servers/{server_id}/ips"))
IPS_SHOW = part(
    "ips:show", "List a server's addresses on a network.", ("GET", "/servers/{server_id}/ips/{network_label}")
)
SERVER_SECURITY_GROUPS = part(
    "os-security-groups:list", "List a server's security groups.", ("GET", "/servers/{server_id}/os-security-groups")
)

GROUPS_INDEX = part("os-server-groups:index", "List server groups.", ("GET", "/os-server-groups"))
GROUPS_ALL = server(
    "os-server-groups:index:all_projects", ADMIN, "List server groups of all projects.", ("GET", "/os-server-groups")
)
GROUPS_SHOW = part("os-server-groups:show", "Show a server group.", ("GET", "/os-server-groups/{server_group_id}"))
GROUPS_CREATE = part("os-server-groups:create", "Create a server group.", ("POST", "/os-server-groups"))
GROUPS_DELETE = part("os-server-groups:delete", "Delete a server group.", ("DELETE", "/os-server-groups/{id}"))

AGGREGATE = "/os-aggregates/{aggregate_id}"
AGGREGATES_INDEX = operators("os-aggregates:index", "List aggregates.", ("GET", "/os-aggregates"))
AGGREGATES_CREATE = operators("os-aggregates:create", "Create an aggregate.", ("POST", "/os-aggregates"))
AGGREGATES_SHOW = operators("os-aggregates:show", "Show an aggregate.", ("GET", AGGREGATE))
AGGREGATES_UPDATE = operators("os-aggregates:update", "Update an aggregate.", ("PUT", AGGREGATE))
AGGREGATES_DELETE = operators("os-aggregates:delete", "Delete an aggregate.", ("DELETE", AGGREGATE))
AGGREGATES_ADD_HOST = operators(
    "os-aggregates:add_host", "Add a host to an aggregate.", ("POST", AGGREGATE + "/action (add_host)")
)
AGGREGATES_REMOVE_HOST = operators(
    "os-aggregates:remove_host", "Take a host out of an aggregate.", ("POST", AGGREGATE + "/action (remove_host)")
)
AGGREGATES_METADATA = operators(
    "os-aggregates:set_metadata", "Set an aggregate's metadata.", ("POST", AGGREGATE + "/action (set_metadata)")
)

RULES = [value for value in list(globals().values()) if isinstance(value, Rule)]
"""Every rule above; a rule is registered by being written down."""
