# SPDX-License-Identifier: Apache-2.0
"""Network's policy as data, under upstream's rule names.

The language is core/policy/language.py; a route names its rule where it is declared. Rules with a
second colon guard single attributes (`create_network:shared`); they are asked about when the
attribute is given with another value than its default. `network:project_id` in a target is the
owner of the network that a port or subnet is on, always read from the database.
"""

from __future__ import annotations

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.policy.defaults import ADMIN, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from skyhold.core.policy.rules import Rule

PROJECT = ("project",)
NETWORK_OWNER = "role:admin or (role:member and project_id:%(network:project_id)s)"
ADMIN_OR_SERVICE = "role:admin or role:service"

RULES: list[Rule] = []


def rule(name: str, check: str, words: str, *, lists: bool = False) -> Rule:
    made = Rule(name, check, PROJECT, words, lists=lists)
    RULES.append(made)
    return made


def four(one: str, words: str, owner: str = PROJECT_MEMBER_OR_ADMIN) -> tuple[Rule, Rule, Rule, Rule]:
    """create, get, update, delete of one resource."""
    return (
        rule(f"create_{one}", owner, f"Create {words}."),
        rule(f"get_{one}", PROJECT_READER_OR_ADMIN, f"Show and list {words}.", lists=True),
        rule(f"update_{one}", PROJECT_MEMBER_OR_ADMIN, f"Change {words}.", lists=True),
        rule(f"delete_{one}", PROJECT_MEMBER_OR_ADMIN, f"Delete {words}.", lists=True),
    )


def attributes(verbs: str, one: str, names: str, check: str) -> None:
    for verb in verbs.split():
        for name in names.split():
            rule(f"{verb}_{one}:{name}", check, f"The attribute {name} of {one}, when asked to {verb}.")


def tags(many: str) -> tuple[Rule, Rule, Rule, Rule]:
    """A tag is written only where the resource itself may be written."""
    return (
        rule(f"get_{many}_tags", PROJECT_READER_OR_ADMIN, f"Read tags of {many}.", lists=True),
        rule(f"create_{many}_tags", PROJECT_MEMBER_OR_ADMIN, f"Add tags to {many}.", lists=True),
        rule(f"update_{many}_tags", PROJECT_MEMBER_OR_ADMIN, f"Replace tags of {many}.", lists=True),
        rule(f"delete_{many}_tags", PROJECT_MEMBER_OR_ADMIN, f"Remove tags of {many}.", lists=True),
    )


CREATE_NETWORK, GET_NETWORK, UPDATE_NETWORK, DELETE_NETWORK = four("network", "networks")
attributes("create update", "network", "shared router:external is_default", ADMIN)
attributes(
    "create update get", "network",
    "provider:network_type provider:physical_network provider:segmentation_id", ADMIN,
)
attributes("create update", "network", "port_security_enabled", PROJECT_MEMBER_OR_ADMIN)

CREATE_SUBNET, GET_SUBNET, UPDATE_SUBNET, DELETE_SUBNET = four("subnet", "subnets", NETWORK_OWNER)
attributes("create update", "subnet", "service_types", ADMIN)

CREATE_PORT = rule("create_port", PROJECT_MEMBER_OR_ADMIN, "Create ports.")
GET_PORT = rule("get_port", PROJECT_READER_OR_ADMIN, "Show and list ports.", lists=True)
UPDATE_PORT = rule("update_port", f"{PROJECT_MEMBER_OR_ADMIN} or role:service or ({NETWORK_OWNER})", "Change ports.")
DELETE_PORT = rule("delete_port", f"{PROJECT_MEMBER_OR_ADMIN} or role:service or ({NETWORK_OWNER})", "Delete ports.")
attributes("create update", "port", "binding:host_id binding:profile", ADMIN_OR_SERVICE)
attributes("get", "port", "binding:host_id binding:profile binding:vif_type binding:vif_details", ADMIN_OR_SERVICE)
attributes("create update", "port", "binding:vnic_type", PROJECT_MEMBER_OR_ADMIN)
attributes(
    "create update", "port", "device_owner mac_address fixed_ips:ip_address fixed_ips:subnet_id port_security_enabled "
    "allowed_address_pairs",
    NETWORK_OWNER + " or role:service",
)

CREATE_ROUTER, GET_ROUTER, UPDATE_ROUTER, DELETE_ROUTER = four("router", "routers")
attributes("create update", "router", "external_gateway_info:enable_snat", ADMIN)
attributes("create update", "router", "external_gateway_info:external_fixed_ips", ADMIN)
attributes("create update", "router", "ha distributed", ADMIN)
ADD_ROUTER_INTERFACE = rule("add_router_interface", PROJECT_MEMBER_OR_ADMIN, "Attach a subnet.", lists=True)
REMOVE_ROUTER_INTERFACE = rule("remove_router_interface", PROJECT_MEMBER_OR_ADMIN, "Detach a subnet.", lists=True)
ADD_EXTRAROUTES = rule("add_extraroutes", PROJECT_MEMBER_OR_ADMIN, "Add routes to a router.", lists=True)
REMOVE_EXTRAROUTES = rule("remove_extraroutes", PROJECT_MEMBER_OR_ADMIN, "Remove routes.", lists=True)

CREATE_FLOATINGIP, GET_FLOATINGIP, UPDATE_FLOATINGIP, DELETE_FLOATINGIP = four("floatingip", "floating IPs")
attributes("create", "floatingip", "floating_ip_address", ADMIN)

(CREATE_SECURITY_GROUP, GET_SECURITY_GROUP, UPDATE_SECURITY_GROUP, DELETE_SECURITY_GROUP) = four(
    "security_group", "security groups"
)
CREATE_SECURITY_GROUP_RULE = rule("create_security_group_rule", PROJECT_MEMBER_OR_ADMIN, "Add a rule.")
GET_SECURITY_GROUP_RULE = rule("get_security_group_rule", PROJECT_READER_OR_ADMIN, "Read rules.", lists=True)
DELETE_SECURITY_GROUP_RULE = rule("delete_security_group_rule", PROJECT_MEMBER_OR_ADMIN, "Remove a rule.", lists=True)

GET_QUOTA = rule("get_quota", PROJECT_READER_OR_ADMIN, "Read a project's quota.")
UPDATE_QUOTA = rule("update_quota", ADMIN, "Change a project's quota.")
DELETE_QUOTA = rule("delete_quota", ADMIN, "Reset a project's quota.")
GET_AVAILABILITY_ZONE = rule("get_availability_zone", "role:reader", "List availability zones.")
GET_SERVICE_PROVIDER = rule("get_service_provider", "role:reader", "List what provides each service.")
GET_EXTENSION = rule("get_extension", "@", "List what this API can do.")

TAG_RULES = {
    many: tags(many)
    for many in ("networks", "subnets", "ports", "routers", "floatingips", "security_groups")
}


def permitted(ctx: Context, name: str, target: object) -> bool:
    return ctx.creds.internal or ctx.core.policy.allows(name, ctx.creds, target)


def require(ctx: Context, name: str, target: object) -> None:
    """Raises Forbidden, in upstream's words."""
    if not permitted(ctx, name, target):
        raise errors.Forbidden(ctx.core.policy.explain(name, ctx.creds), rule=name)
