# SPDX-License-Identifier: Apache-2.0
"""Federation's policy as data, under upstream's rule names: administrators change, readers of the system look.

The other rules of identity are ../policy.py. Signing in has no rule: whoever comes with an assertion proves
with it who it is.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN, ANYONE
from skyhold.core.policy.rules import Rule
from skyhold.identity.policy import READER, rule

PROVIDER = "/v3/OS-FEDERATION/identity_providers/{idp_id}"
PROTOCOL = PROVIDER + "/protocols/{protocol_id}"
MAPPING = "/v3/OS-FEDERATION/mappings/{mapping_id}"
SERVICE_PROVIDER = "/v3/OS-FEDERATION/service_providers/{sp_id}"

CREATE_IDENTITY_PROVIDER = rule(
    "create_identity_provider", ADMIN, "Register an identity provider.", f"PUT {PROVIDER}"
)
LIST_IDENTITY_PROVIDERS = rule(
    "list_identity_providers", READER, "List identity providers.", "GET /v3/OS-FEDERATION/identity_providers"
)
GET_IDENTITY_PROVIDER = rule("get_identity_provider", READER, "Show an identity provider.", f"GET {PROVIDER}")
UPDATE_IDENTITY_PROVIDER = rule(
    "update_identity_provider", ADMIN, "Change an identity provider.", f"PATCH {PROVIDER}"
)
DELETE_IDENTITY_PROVIDER = rule(
    "delete_identity_provider", ADMIN, "Delete an identity provider.", f"DELETE {PROVIDER}"
)
CREATE_PROTOCOL = rule("create_protocol", ADMIN, "Let an identity provider use a protocol.", f"PUT {PROTOCOL}")
LIST_PROTOCOLS = rule("list_protocols", READER, "List protocols.", f"GET {PROVIDER}/protocols")
GET_PROTOCOL = rule("get_protocol", READER, "Show a protocol.", f"GET {PROTOCOL}")
UPDATE_PROTOCOL = rule("update_protocol", ADMIN, "Change a protocol.", f"PATCH {PROTOCOL}")
DELETE_PROTOCOL = rule("delete_protocol", ADMIN, "Delete a protocol.", f"DELETE {PROTOCOL}")
CREATE_MAPPING = rule("create_mapping", ADMIN, "Create a mapping.", f"PUT {MAPPING}")
LIST_MAPPINGS = rule("list_mappings", READER, "List mappings.", "GET /v3/OS-FEDERATION/mappings")
GET_MAPPING = rule("get_mapping", READER, "Show a mapping.", f"GET {MAPPING}")
UPDATE_MAPPING = rule("update_mapping", ADMIN, "Change a mapping.", f"PATCH {MAPPING}")
DELETE_MAPPING = rule("delete_mapping", ADMIN, "Delete a mapping.", f"DELETE {MAPPING}")
CREATE_SERVICE_PROVIDER = rule(
    "create_service_provider", ADMIN, "Register a service provider.", f"PUT {SERVICE_PROVIDER}"
)
LIST_SERVICE_PROVIDERS = rule(
    "list_service_providers", READER, "List service providers.", "GET /v3/OS-FEDERATION/service_providers"
)
GET_SERVICE_PROVIDER = rule("get_service_provider", READER, "Show a service provider.", f"GET {SERVICE_PROVIDER}")
UPDATE_SERVICE_PROVIDER = rule(
    "update_service_provider", ADMIN, "Change a service provider.", f"PATCH {SERVICE_PROVIDER}"
)
DELETE_SERVICE_PROVIDER = rule(
    "delete_service_provider", ADMIN, "Delete a service provider.", f"DELETE {SERVICE_PROVIDER}"
)
LIST_PROJECTS_FOR_USER = rule(
    "list_projects_for_user", ANYONE, "List projects to scope to.", "GET /v3/OS-FEDERATION/projects"
)
LIST_DOMAINS_FOR_USER = rule(
    "list_domains_for_user", ANYONE, "List domains to scope to.", "GET /v3/OS-FEDERATION/domains"
)

RULES = [value for value in list(globals().values()) if isinstance(value, Rule)]
