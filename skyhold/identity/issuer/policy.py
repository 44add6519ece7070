# SPDX-License-Identifier: Apache-2.0
"""The issuer's policy as data: administrators register clients, readers of the system see them.

Everything else the issuer answers is for everybody: whoever signs in proves it there and then.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN
from skyhold.core.policy.rules import Rule
from skyhold.identity.policy import READER, rule

ALL = "/v3/OS-OIDC/clients"
ONE = ALL + "/{oidc_client_id}"

CREATE_CLIENT = rule("create_oidc_client", ADMIN, "Register a client of the issuer.", f"POST {ALL}")
LIST_CLIENTS = rule("list_oidc_clients", READER, "List clients of the issuer.", f"GET {ALL}")
GET_CLIENT = rule("get_oidc_client", READER, "Show a client of the issuer.", f"GET {ONE}")
UPDATE_CLIENT = rule("update_oidc_client", ADMIN, "Change a client of the issuer.", f"PATCH {ONE}")
DELETE_CLIENT = rule("delete_oidc_client", ADMIN, "Delete a client of the issuer.", f"DELETE {ONE}")

RULES = [value for value in list(globals().values()) if isinstance(value, Rule)]
