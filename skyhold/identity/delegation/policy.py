# SPDX-License-Identifier: Apache-2.0
"""Who may hand rights on, and see or take back what was handed on: rules under upstream's names.

The rest of identity's rules, and what READER stands for, are identity/policy.py. What a rule calls
target is a row, or an id in the address that was looked up.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN, ADMIN_OR_SERVICE
from skyhold.core.policy.rules import Rule
from skyhold.identity.policy import READER, SELF, rule

# ---- credentials ---------------------------------------------------------------------------

OWNER = "user_id:%(target.credential.user_id)s"
CREDENTIAL = "/v3/credentials/{credential_id}"

GET_CREDENTIAL = rule(
    "get_credential", f"{READER} or {OWNER}", "Show a credential.", f"GET {CREDENTIAL}", lists=True
)
LIST_CREDENTIALS = rule(
    "list_credentials", f"{READER} or {OWNER}", "List credentials.", "GET /v3/credentials", lists=True
)
CREATE_CREDENTIAL = rule(
    "create_credential", f"{ADMIN} or {OWNER}", "Create a credential.", "POST /v3/credentials"
)
UPDATE_CREDENTIAL = rule(
    "update_credential", f"{ADMIN} or {OWNER}", "Change a credential.", f"PATCH {CREDENTIAL}", lists=True
)
DELETE_CREDENTIAL = rule(
    "delete_credential", f"{ADMIN} or {OWNER}", "Delete a credential.", f"DELETE {CREDENTIAL}", lists=True
)

EC2 = "/v3/users/{user_id}/credentials/OS-EC2"

EC2_GET_CREDENTIAL = rule("ec2_get_credential", f"{READER} or {OWNER}", "Show an EC2 key.",
                          f"GET {EC2}/{{credential_id}}", lists=True)
EC2_LIST_CREDENTIALS = rule("ec2_list_credentials", f"{READER} or {SELF}", "List EC2 keys.", f"GET {EC2}")
EC2_CREATE_CREDENTIAL = rule("ec2_create_credential", f"{ADMIN} or {SELF}", "Create an EC2 key.", f"POST {EC2}")
EC2_DELETE_CREDENTIAL = rule("ec2_delete_credential", f"{ADMIN} or {OWNER}", "Delete an EC2 key.",
                             f"DELETE {EC2}/{{credential_id}}", lists=True)

EC2TOKENS_VALIDATE = rule(
    "ec2tokens_validate", ADMIN_OR_SERVICE, "Get a token for a signed EC2 request.", "POST /v3/ec2tokens"
)
S3TOKENS_VALIDATE = rule(
    "s3tokens_validate", ADMIN_OR_SERVICE, "Get a token for a signed S3 request.", "POST /v3/s3tokens"
)

# ---- trusts --------------------------------------------------------------------------------

TRUSTOR = "user_id:%(target.trust.trustor_user_id)s"
TRUSTEE = "user_id:%(target.trust.trustee_user_id)s"
PARTY = f"{READER} or {TRUSTOR} or {TRUSTEE}"
TRUSTS = "/v3/OS-TRUST/trusts"
TRUST = TRUSTS + "/{trust_id}"

CREATE_TRUST = rule("create_trust", TRUSTOR, "Create a trust.", f"POST {TRUSTS}")
LIST_TRUSTS = rule("list_trusts", READER, "List all trusts.", f"GET {TRUSTS}")
LIST_TRUSTS_FOR_TRUSTOR = rule("list_trusts_for_trustor", f"{READER} or {TRUSTOR}", "List a trustor's trusts.",
                               f"GET {TRUSTS}?trustor_user_id={{id}}")
LIST_TRUSTS_FOR_TRUSTEE = rule("list_trusts_for_trustee", f"{READER} or {TRUSTEE}", "List a trustee's trusts.",
                               f"GET {TRUSTS}?trustee_user_id={{id}}")
GET_TRUST = rule("get_trust", PARTY, "Show a trust.", f"GET {TRUST}", lists=True)
LIST_ROLES_FOR_TRUST = rule("list_roles_for_trust", PARTY, "List a trust's roles.", f"GET {TRUST}/roles")
GET_ROLE_FOR_TRUST = rule("get_role_for_trust", PARTY, "Show a trust's role.", f"GET {TRUST}/roles/{{role_id}}")
DELETE_TRUST = rule("delete_trust", f"{ADMIN} or {TRUSTOR}", "Delete a trust.", f"DELETE {TRUST}",
                    lists=True)

# ---- OAuth1 --------------------------------------------------------------------------------

CONSUMERS = "/v3/OS-OAUTH1/consumers"
CONSUMER = CONSUMERS + "/{consumer_id}"
ACCESS = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"

GET_CONSUMER = rule("get_consumer", READER, "Show a consumer.", f"GET {CONSUMER}", lists=True)
LIST_CONSUMERS = rule("list_consumers", READER, "List consumers.", f"GET {CONSUMERS}", lists=True)
CREATE_CONSUMER = rule("create_consumer", ADMIN, "Create a consumer.", f"POST {CONSUMERS}")
UPDATE_CONSUMER = rule("update_consumer", ADMIN, "Change a consumer.", f"PATCH {CONSUMER}", lists=True)
DELETE_CONSUMER = rule("delete_consumer", ADMIN, "Delete a consumer.", f"DELETE {CONSUMER}", lists=True)
AUTHORIZE_REQUEST_TOKEN = rule("authorize_request_token", ADMIN, "Let a consumer act for oneself.",
                               "PUT /v3/OS-OAUTH1/authorize/{request_token_id}")
LIST_ACCESS_TOKENS = rule(
    "list_access_tokens", ADMIN, "List a user's access tokens.", f"GET {ACCESS}", lists=True
)
GET_ACCESS_TOKEN = rule(
    "get_access_token", ADMIN, "Show an access token.", f"GET {ACCESS}/{{access_token_id}}", lists=True
)
DELETE_ACCESS_TOKEN = rule(
    "delete_access_token", ADMIN, "Take an access token back.", f"DELETE {ACCESS}/{{access_token_id}}", lists=True
)
LIST_ACCESS_TOKEN_ROLES = rule("list_access_token_roles", ADMIN, "List an access token's roles.",
                               f"GET {ACCESS}/{{access_token_id}}/roles", lists=True)
GET_ACCESS_TOKEN_ROLE = rule("get_access_token_role", ADMIN, "Show an access token's role.",
                             f"GET {ACCESS}/{{access_token_id}}/roles/{{role_id}}", lists=True)

RULES = [value for value in list(globals().values()) if isinstance(value, Rule)]
