# SPDX-License-Identifier: Apache-2.0
"""Identity's policy as data, under upstream's rule names: administrators, system readers, and in a
domain its readers and managers.

The language is core/policy/language.py; a route names its rule where it is declared. What a rule
calls target comes from the database or the address, never from a body: permits.py.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN, ANYONE, SERVICE, SYSTEM_READER
from skyhold.core.policy.rules import Rule

READER = f"{ADMIN} or ({SYSTEM_READER})"
MY_DOMAIN = "role:{role} and domain_id:%(target.{kind}.domain_id)s"


def rule(verb: str, check: str, words: str, *operations: str, lists: bool = False) -> Rule:
    pairs = tuple((method, path) for method, _, path in (each.partition(" ") for each in operations))
    return Rule(f"identity:{verb}", check, (), words, pairs, lists)


def readers(kind: str) -> str:
    return f"{READER} or ({MY_DOMAIN.format(role='reader', kind=kind)})"


def managers(kind: str) -> str:
    return f"{ADMIN} or ({MY_DOMAIN.format(role='manager', kind=kind)})"


# ---- tokens --------------------------------------------------------------------------------

SUBJECT = "user_id:%(target.token.user_id)s"

VALIDATE_TOKEN = rule("validate_token", f"{READER} or {SERVICE} or {SUBJECT}", "Validate a token.",
                      "GET /v3/auth/tokens")
CHECK_TOKEN = rule("check_token", f"{READER} or {SUBJECT}", "Check a token.", "HEAD /v3/auth/tokens")
REVOKE_TOKEN = rule("revoke_token", f"{ADMIN} or {SUBJECT}", "Revoke a token.", "DELETE /v3/auth/tokens")
GET_AUTH_CATALOG = rule("get_auth_catalog", ANYONE, "Show the catalogue.", "GET /v3/auth/catalog")
GET_AUTH_PROJECTS = rule("get_auth_projects", ANYONE, "List projects to scope to.", "GET /v3/auth/projects")
GET_AUTH_DOMAINS = rule("get_auth_domains", ANYONE, "List domains to scope to.", "GET /v3/auth/domains")
GET_AUTH_SYSTEM = rule("get_auth_system", ANYONE, "List systems to scope to.", "GET /v3/auth/system")

LIST_REVOKE_EVENTS = rule("list_revoke_events", f"{ADMIN} or {SERVICE}", "List revocation events.",
                          "GET /v3/OS-REVOKE/events")
REVOCATION_LIST = rule("revocation_list", f"{ADMIN} or {SERVICE}", "List revoked PKI tokens: there are none.",
                       "GET /v3/auth/tokens/OS-PKI/revoked")

# ---- domains -------------------------------------------------------------------------------

IN_DOMAIN = "role:reader and domain_id:%(target.domain.id)s"

GET_DOMAIN = rule(
    "get_domain", f"{READER} or ({IN_DOMAIN}) or project_domain_id:%(target.domain.id)s", "Show a domain.",
    "GET /v3/domains/{domain_id}", lists=True,
)
LIST_DOMAINS = rule(
    "list_domains", f"{READER} or ({IN_DOMAIN})", "List domains.", "GET /v3/domains", lists=True
)
CREATE_DOMAIN = rule("create_domain", ADMIN, "Create a domain.", "POST /v3/domains")
UPDATE_DOMAIN = rule("update_domain", ADMIN, "Change a domain.", "PATCH /v3/domains/{domain_id}")
DELETE_DOMAIN = rule("delete_domain", ADMIN, "Delete a domain.", "DELETE /v3/domains/{domain_id}")

# ---- projects ------------------------------------------------------------------------------

MY_PROJECT = "project_id:%(target.project.id)s"
SEE_PROJECT = f"{readers('project')} or {MY_PROJECT}"

GET_PROJECT = rule("get_project", SEE_PROJECT, "Show a project.", "GET /v3/projects/{project_id}", lists=True)
LIST_PROJECTS = rule("list_projects", readers("project"), "List projects.", "GET /v3/projects", lists=True)
LIST_USER_PROJECTS = rule(
    "list_user_projects", f"{readers('user')} or user_id:%(target.user.id)s", "List projects of a user.",
    "GET /v3/users/{user_id}/projects", lists=True,
)
CREATE_PROJECT = rule("create_project", managers("project"), "Create a project.", "POST /v3/projects")
UPDATE_PROJECT = rule("update_project", managers("project"), "Change a project.",
                      "PATCH /v3/projects/{project_id}", lists=True)
DELETE_PROJECT = rule("delete_project", managers("project"), "Delete a project.",
                      "DELETE /v3/projects/{project_id}", lists=True)

CHANGE_TAGS = f"{managers('project')} or (role:manager and {MY_PROJECT})"
TAG = "/v3/projects/{project_id}/tags/{value}"
TAGS = "/v3/projects/{project_id}/tags"
LIST_PROJECT_TAGS = rule("list_project_tags", SEE_PROJECT, "List tags.", f"GET {TAGS}", lists=True)
GET_PROJECT_TAG = rule("get_project_tag", SEE_PROJECT, "Check a tag.", f"GET {TAG}", lists=True)
UPDATE_PROJECT_TAGS = rule("update_project_tags", CHANGE_TAGS, "Replace tags.", f"PUT {TAGS}", lists=True)
CREATE_PROJECT_TAG = rule("create_project_tag", CHANGE_TAGS, "Add a tag.", f"PUT {TAG}", lists=True)
DELETE_PROJECT_TAGS = rule(
    "delete_project_tags", CHANGE_TAGS, "Remove all tags.", f"DELETE {TAGS}", lists=True
)
DELETE_PROJECT_TAG = rule("delete_project_tag", CHANGE_TAGS, "Remove a tag.", f"DELETE {TAG}", lists=True)

# ---- users ---------------------------------------------------------------------------------

SELF = "user_id:%(target.user.id)s"

GET_USER = rule(
    "get_user", f"{readers('user')} or {SELF}", "Show a user.", "GET /v3/users/{user_id}", lists=True
)
LIST_USERS = rule("list_users", readers("user"), "List users.", "GET /v3/users", lists=True)
CREATE_USER = rule("create_user", managers("user"), "Create a user.", "POST /v3/users")
UPDATE_USER = rule("update_user", managers("user"), "Change a user.", "PATCH /v3/users/{user_id}", lists=True)
DELETE_USER = rule(
    "delete_user", managers("user"), "Delete a user.", "DELETE /v3/users/{user_id}", lists=True
)

# ---- groups --------------------------------------------------------------------------------

MEMBER = "/v3/groups/{group_id}/users/{user_id}"

GET_GROUP = rule("get_group", readers("group"), "Show a group.", "GET /v3/groups/{group_id}", lists=True)
LIST_GROUPS = rule("list_groups", readers("group"), "List groups.", "GET /v3/groups", lists=True)
LIST_GROUPS_FOR_USER = rule(
    "list_groups_for_user", f"{readers('user')} or {SELF}", "List groups of a user.",
    "GET /v3/users/{user_id}/groups", lists=True,
)
CREATE_GROUP = rule("create_group", managers("group"), "Create a group.", "POST /v3/groups")
UPDATE_GROUP = rule(
    "update_group", managers("group"), "Change a group.", "PATCH /v3/groups/{group_id}", lists=True
)
DELETE_GROUP = rule(
    "delete_group", managers("group"), "Delete a group.", "DELETE /v3/groups/{group_id}", lists=True
)
LIST_USERS_IN_GROUP = rule("list_users_in_group", readers("group"), "List members.",
                           "GET /v3/groups/{group_id}/users", lists=True)
SAME_DOMAIN = MY_DOMAIN.format(role="manager", kind="group") + " and domain_id:%(target.user.domain_id)s"
MEMBERS = f"{ADMIN} or ({SAME_DOMAIN})"
CHECK_USER_IN_GROUP = rule(
    "check_user_in_group",
    f"{READER} or ({MY_DOMAIN.format(role='reader', kind='group')} and domain_id:%(target.user.domain_id)s)",
    "Check a membership.", f"HEAD {MEMBER}",
)
ADD_USER_TO_GROUP = rule("add_user_to_group", MEMBERS, "Add a member.", f"PUT {MEMBER}")
REMOVE_USER_FROM_GROUP = rule("remove_user_from_group", MEMBERS, "Remove a member.", f"DELETE {MEMBER}")

# ---- roles ---------------------------------------------------------------------------------

SEE_ROLES = f"{READER} or (role:manager and scope:domain)"
IMPLIES = "/v3/roles/{role_id}/implies"

GET_ROLE = rule("get_role", SEE_ROLES, "Show a role.", "GET /v3/roles/{role_id}")
LIST_ROLES = rule("list_roles", SEE_ROLES, "List roles.", "GET /v3/roles")
CREATE_ROLE = rule("create_role", ADMIN, "Create a role.", "POST /v3/roles")
UPDATE_ROLE = rule("update_role", ADMIN, "Change a role.", "PATCH /v3/roles/{role_id}")
DELETE_ROLE = rule("delete_role", ADMIN, "Delete a role.", "DELETE /v3/roles/{role_id}")
GET_DOMAIN_ROLE = rule("get_domain_role", READER, "Show a domain's role.", "GET /v3/roles/{role_id}")
LIST_DOMAIN_ROLES = rule(
    "list_domain_roles", READER, "List a domain's roles.", "GET /v3/roles?domain_id={domain_id}"
)
CREATE_DOMAIN_ROLE = rule("create_domain_role", ADMIN, "Create a domain's role.", "POST /v3/roles")
UPDATE_DOMAIN_ROLE = rule("update_domain_role", ADMIN, "Change a domain's role.", "PATCH /v3/roles/{role_id}")
DELETE_DOMAIN_ROLE = rule(
    "delete_domain_role", ADMIN, "Delete a domain's role.", "DELETE /v3/roles/{role_id}"
)
GET_IMPLIED_ROLE = rule("get_implied_role", READER, "Show an implication.", f"GET {IMPLIES}/{{implied_id}}")
LIST_IMPLIED_ROLES = rule("list_implied_roles", READER, "List what a role implies.", f"GET {IMPLIES}")
CREATE_IMPLIED_ROLE = rule(
    "create_implied_role", ADMIN, "Let a role imply one.", f"PUT {IMPLIES}/{{implied_id}}"
)
DELETE_IMPLIED_ROLE = rule(
    "delete_implied_role", ADMIN, "End an implication.", f"DELETE {IMPLIES}/{{implied_id}}"
)
CHECK_IMPLIED_ROLE = rule(
    "check_implied_role", READER, "Check an implication.", f"HEAD {IMPLIES}/{{implied_id}}"
)
LIST_ROLE_INFERENCE_RULES = rule(
    "list_role_inference_rules", READER, "List implications.", "GET /v3/role_inferences"
)

# ---- assignments ---------------------------------------------------------------------------


def of_grants(role: str) -> str:
    """Whoever has `role` in a domain, where actor and place both are in that domain."""
    pairs = [
        f"(domain_id:%(target.{actor}.domain_id)s and domain_id:%({place})s)"
        for actor in ("user", "group") for place in ("target.project.domain_id", "target.domain.id")
    ]
    same_role = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
    return f"(role:{role} and ({' or '.join(pairs)}) and {same_role})"


# A domain's manager gives only what can't rise above managing that domain.
MANAGED_ROLE = " or ".join(f"'{name}':%(target.role.name)s" for name in ("manager", "member", "reader"))
GIVE = f"{ADMIN} or ({of_grants('manager')} and ({MANAGED_ROLE}))"
GRANT = "/v3/{projects|domains}/{target_id}/{users|groups}/{actor_id}/roles"
SYSTEM_GRANT = "/v3/system/{users|groups}/{actor_id}/roles"

CHECK_GRANT = rule(
    "check_grant", f"{READER} or {of_grants('reader')}", "Check a grant.", f"HEAD {GRANT}/{{role_id}}"
)
LIST_GRANTS = rule("list_grants", f"{READER} or {of_grants('reader')}", "List grants.", f"GET {GRANT}")
CREATE_GRANT = rule("create_grant", GIVE, "Give a role.", f"PUT {GRANT}/{{role_id}}")
REVOKE_GRANT = rule("revoke_grant", GIVE, "Take a role away.", f"DELETE {GRANT}/{{role_id}}")
LIST_ROLE_ASSIGNMENTS = rule(
    "list_role_assignments",
    f"{READER} or (role:reader and domain_id:%(target.domain_id)s)", "List assignments.",
    "GET /v3/role_assignments", lists=True,
)
LIST_ROLE_ASSIGNMENTS_FOR_TREE = rule(
    "list_role_assignments_for_tree", f"{readers('project')} or (role:admin and {MY_PROJECT})",
    "List assignments of a project and those below.", "GET /v3/role_assignments?include_subtree",
)


def system_rules(kind: str) -> dict[str, Rule]:
    path = SYSTEM_GRANT.replace("{users|groups}", f"{kind}s")
    return {
        "list": rule(
            f"list_system_grants_for_{kind}", READER, f"List a {kind}'s system roles.", f"GET {path}"
        ),
        "check": rule(f"check_system_grant_for_{kind}", READER, f"Check a {kind}'s system role.",
                      f"GET {path}/{{role_id}}"),
        "create": rule(f"create_system_grant_for_{kind}", ADMIN, f"Give a {kind} a system role.",
                       f"PUT {path}/{{role_id}}"),
        "revoke": rule(f"revoke_system_grant_for_{kind}", ADMIN, f"Take a {kind}'s system role away.",
                       f"DELETE {path}/{{role_id}}"),
    }


SYSTEM_GRANTS = {"user": system_rules("user"), "group": system_rules("group")}

# ---- catalogue -----------------------------------------------------------------------------

GET_REGION = rule("get_region", ANYONE, "Show a region.", "GET /v3/regions/{region_id}")
LIST_REGIONS = rule("list_regions", ANYONE, "List regions.", "GET /v3/regions")
CREATE_REGION = rule(
    "create_region", ADMIN, "Create a region.", "POST /v3/regions", "PUT /v3/regions/{region_id}"
)
UPDATE_REGION = rule("update_region", ADMIN, "Change a region.", "PATCH /v3/regions/{region_id}")
DELETE_REGION = rule("delete_region", ADMIN, "Delete a region.", "DELETE /v3/regions/{region_id}")
GET_SERVICE = rule("get_service", READER, "Show a service.", "GET /v3/services/{service_id}")
LIST_SERVICES = rule("list_services", READER, "List services.", "GET /v3/services")
CREATE_SERVICE = rule("create_service", ADMIN, "Create a service.", "POST /v3/services")
UPDATE_SERVICE = rule("update_service", ADMIN, "Change a service.", "PATCH /v3/services/{service_id}")
DELETE_SERVICE = rule("delete_service", ADMIN, "Delete a service.", "DELETE /v3/services/{service_id}")
GET_ENDPOINT = rule("get_endpoint", READER, "Show an endpoint.", "GET /v3/endpoints/{endpoint_id}")
LIST_ENDPOINTS = rule("list_endpoints", READER, "List endpoints.", "GET /v3/endpoints")
CREATE_ENDPOINT = rule("create_endpoint", ADMIN, "Create an endpoint.", "POST /v3/endpoints")
UPDATE_ENDPOINT = rule("update_endpoint", ADMIN, "Change an endpoint.", "PATCH /v3/endpoints/{endpoint_id}")
DELETE_ENDPOINT = rule("delete_endpoint", ADMIN, "Delete an endpoint.", "DELETE /v3/endpoints/{endpoint_id}")

# ---- application credentials ---------------------------------------------------------------

APP_CREDENTIAL = "/v3/users/{user_id}/application_credentials"
ACCESS_RULE = "/v3/users/{user_id}/access_rules"

GET_APPLICATION_CREDENTIAL = rule(
    "get_application_credential", f"{READER} or {SELF}", "Show an application credential.",
    f"GET {APP_CREDENTIAL}/{{id}}", lists=True,
)
LIST_APPLICATION_CREDENTIALS = rule(
    "list_application_credentials", f"{READER} or {SELF}", "List application credentials.",
    f"GET {APP_CREDENTIAL}", lists=True,
)
CREATE_APPLICATION_CREDENTIAL = rule(
    "create_application_credential", SELF, "Create an application credential.", f"POST {APP_CREDENTIAL}",
)
DELETE_APPLICATION_CREDENTIAL = rule(
    "delete_application_credential", f"{ADMIN} or {SELF}", "Delete an application credential.",
    f"DELETE {APP_CREDENTIAL}/{{id}}", lists=True,
)
GET_ACCESS_RULE = rule("get_access_rule", f"{READER} or {SELF}", "Show an access rule.",
                       f"GET {ACCESS_RULE}/{{id}}", lists=True)
LIST_ACCESS_RULES = rule("list_access_rules", f"{READER} or {SELF}", "List access rules.",
                         f"GET {ACCESS_RULE}", lists=True)
DELETE_ACCESS_RULE = rule("delete_access_rule", f"{ADMIN} or {SELF}", "Delete an access rule.",
                          f"DELETE {ACCESS_RULE}/{{id}}", lists=True)

# ---- limits --------------------------------------------------------------------------------

REGISTERED_LIMIT = "/v3/registered_limits/{registered_limit_id}"
LIMIT = "/v3/limits/{limit_id}"

GET_REGISTERED_LIMIT = rule(
    "get_registered_limit", ANYONE, "Show a registered limit.", f"GET {REGISTERED_LIMIT}"
)
LIST_REGISTERED_LIMITS = rule(
    "list_registered_limits", ANYONE, "List registered limits.", "GET /v3/registered_limits"
)
CREATE_REGISTERED_LIMITS = rule(
    "create_registered_limits", ADMIN, "Register limits.", "POST /v3/registered_limits"
)
UPDATE_REGISTERED_LIMIT = rule(
    "update_registered_limit", ADMIN, "Change a registered limit.", f"PATCH {REGISTERED_LIMIT}"
)
DELETE_REGISTERED_LIMIT = rule(
    "delete_registered_limit", ADMIN, "Delete a registered limit.", f"DELETE {REGISTERED_LIMIT}"
)
GET_LIMIT_MODEL = rule("get_limit_model", ANYONE, "Show how limits bind each other.", "GET /v3/limits/model")
LIST_LIMITS = rule("list_limits", ANYONE, "List the limits that one may show.", "GET /v3/limits")
GET_LIMIT = rule(
    "get_limit",
    f"{READER} or domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s or "
    "project_id:%(target.limit.project_id)s", "Show a limit.", f"GET {LIMIT}", lists=True,
)
CREATE_LIMITS = rule("create_limits", ADMIN, "Set limits.", "POST /v3/limits")
UPDATE_LIMIT = rule("update_limit", ADMIN, "Change a limit.", f"PATCH {LIMIT}")
DELETE_LIMIT = rule("delete_limit", ADMIN, "Delete a limit.", f"DELETE {LIMIT}")

# ---- policies ------------------------------------------------------------------------------

POLICY = "/v3/policies/{policy_id}"
OF_POLICY = f"{POLICY}/OS-ENDPOINT-POLICY"

GET_POLICY = rule("get_policy", READER, "Show a policy.", f"GET {POLICY}")
LIST_POLICIES = rule("list_policies", READER, "List policies.", "GET /v3/policies")
CREATE_POLICY = rule("create_policy", ADMIN, "Create a policy.", "POST /v3/policies")
UPDATE_POLICY = rule("update_policy", ADMIN, "Change a policy.", f"PATCH {POLICY}")
DELETE_POLICY = rule("delete_policy", ADMIN, "Delete a policy.", f"DELETE {POLICY}")
GET_POLICY_FOR_ENDPOINT = rule(
    "get_policy_for_endpoint", READER, "Show the policy that an endpoint uses.",
    "GET /v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy",
)
LIST_ENDPOINTS_FOR_POLICY = rule(
    "list_endpoints_for_policy", READER, "List the endpoints that use a policy.", f"GET {OF_POLICY}/endpoints"
)


def association_rules(what: str, tail: str) -> dict[str, Rule]:
    path = f"{OF_POLICY}/{tail}"
    words = {"create": ("PUT", ADMIN), "check": ("GET", READER), "delete": ("DELETE", ADMIN)}
    return {
        verb: rule(
            f"{verb}_policy_association_for_{what}", check, f"{verb.capitalize()} a policy's association.",
            f"{method} {path}",
        )
        for verb, (method, check) in words.items()
    }


ENDPOINT_POLICY = {
    "endpoint": association_rules("endpoint", "endpoints/{endpoint_id}"),
    "service": association_rules("service", "services/{service_id}"),
    "region_and_service": association_rules(
        "region_and_service", "services/{service_id}/regions/{region_id}"
    ),
}

# ---- endpoint filtering --------------------------------------------------------------------

FILTER = "/v3/OS-EP-FILTER"
GROUP = f"{FILTER}/endpoint_groups/{{endpoint_group_id}}"
GROUPED = f"{GROUP}/projects/{{project_id}}"
SINGLE = f"{FILTER}/projects/{{project_id}}/endpoints/{{endpoint_id}}"

CREATE_ENDPOINT_GROUP = rule(
    "create_endpoint_group", ADMIN, "Create an endpoint group.", f"POST {FILTER}/endpoint_groups"
)
LIST_ENDPOINT_GROUPS = rule(
    "list_endpoint_groups", READER, "List endpoint groups.", f"GET {FILTER}/endpoint_groups"
)
GET_ENDPOINT_GROUP = rule("get_endpoint_group", READER, "Show an endpoint group.", f"GET {GROUP}")
UPDATE_ENDPOINT_GROUP = rule("update_endpoint_group", ADMIN, "Change an endpoint group.", f"PATCH {GROUP}")
DELETE_ENDPOINT_GROUP = rule("delete_endpoint_group", ADMIN, "Delete an endpoint group.", f"DELETE {GROUP}")
LIST_PROJECTS_ASSOCIATED_WITH_ENDPOINT_GROUP = rule(
    "list_projects_associated_with_endpoint_group", READER, "List a group's projects.", f"GET {GROUP}/projects"
)
LIST_ENDPOINTS_ASSOCIATED_WITH_ENDPOINT_GROUP = rule(
    "list_endpoints_associated_with_endpoint_group", READER, "List a group's endpoints.",
    f"GET {GROUP}/endpoints",
)
GET_ENDPOINT_GROUP_IN_PROJECT = rule(
    "get_endpoint_group_in_project", READER, "Check whether a project has a group.", f"GET {GROUPED}"
)
LIST_ENDPOINT_GROUPS_FOR_PROJECT = rule(
    "list_endpoint_groups_for_project", READER, "List a project's groups.",
    f"GET {FILTER}/projects/{{project_id}}/endpoint_groups",
)
ADD_ENDPOINT_GROUP_TO_PROJECT = rule(
    "add_endpoint_group_to_project", ADMIN, "Give a group to a project.", f"PUT {GROUPED}"
)
REMOVE_ENDPOINT_GROUP_FROM_PROJECT = rule(
    "remove_endpoint_group_from_project", ADMIN, "Take a group from a project.", f"DELETE {GROUPED}"
)
LIST_PROJECTS_FOR_ENDPOINT = rule(
    "list_projects_for_endpoint", READER, "List an endpoint's projects.",
    f"GET {FILTER}/endpoints/{{endpoint_id}}/projects",
)
ADD_ENDPOINT_TO_PROJECT = rule(
    "add_endpoint_to_project", ADMIN, "Give an endpoint to a project.", f"PUT {SINGLE}"
)
CHECK_ENDPOINT_IN_PROJECT = rule(
    "check_endpoint_in_project", READER, "Check whether a project has an endpoint.", f"GET {SINGLE}"
)
LIST_ENDPOINTS_FOR_PROJECT = rule(
    "list_endpoints_for_project", READER, "List a project's endpoints.",
    f"GET {FILTER}/projects/{{project_id}}/endpoints",
)
REMOVE_ENDPOINT_FROM_PROJECT = rule(
    "remove_endpoint_from_project", ADMIN, "Take an endpoint from a project.", f"DELETE {SINGLE}"
)

# ---- domain configuration ------------------------------------------------------------------

DOMAIN_CONFIG = "/v3/domains/{domain_id}/config"

CREATE_DOMAIN_CONFIG = rule("create_domain_config", ADMIN, "Configure a domain.", f"PUT {DOMAIN_CONFIG}")
GET_DOMAIN_CONFIG = rule(
    "get_domain_config", READER, "Show a domain's configuration.", f"GET {DOMAIN_CONFIG}",
    f"GET {DOMAIN_CONFIG}/{{group}}", f"GET {DOMAIN_CONFIG}/{{group}}/{{option}}",
)
GET_SECURITY_COMPLIANCE_DOMAIN_CONFIG = rule(
    "get_security_compliance_domain_config", ANYONE, "Show what a password must be like.",
    f"GET {DOMAIN_CONFIG}/security_compliance", f"GET {DOMAIN_CONFIG}/security_compliance/{{option}}",
)
UPDATE_DOMAIN_CONFIG = rule(
    "update_domain_config", ADMIN, "Change a domain's configuration.", f"PATCH {DOMAIN_CONFIG}"
)
DELETE_DOMAIN_CONFIG = rule(
    "delete_domain_config", ADMIN, "Delete a domain's configuration.", f"DELETE {DOMAIN_CONFIG}"
)
GET_DOMAIN_CONFIG_DEFAULT = rule(
    "get_domain_config_default", READER, "Show what domains have by default.", "GET /v3/domains/config/default",
)

RULES = [
    *[value for value in list(globals().values()) if isinstance(value, Rule)],
    *[each for kind in (*SYSTEM_GRANTS.values(), *ENDPOINT_POLICY.values()) for each in kind.values()],
]
