# SPDX-License-Identifier: Apache-2.0
"""Races of credentials, trusts and OAuth.

What an entry means is ../duel.py; the rest of identity is identity.py.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

from oauthlib.oauth1 import Client

from skyhold.identity.logic.signatures import base64_mac
from tests.race.duel import Call, Duel, Ground, name, race
from tests.race.operations.identity import V3, change, removal
from tests.story.identity import test_oauth1 as oauth1
from tests.story.identity.test_app_credentials import address
from tests.story.identity.test_app_credentials import make as make_app_credential
from tests.story.identity.test_ec2_tokens import signed

# ---- credentials ---------------------------------------------------------------------------


async def a_credential(g: Ground) -> dict[str, Any]:
    user = await g.cloud.user()
    return await g.make(f"{V3}/credentials", "credential", type="cert", blob="x", user_id=user.user_id)


@race("POST /identity/v3/credentials")
async def create_credential(g: Ground) -> Duel:
    user = await g.cloud.project()
    body = {"type": "ec2", "blob": json.dumps({"access": name(), "secret": "s"}), "user_id": user.user_id}
    one = Call(g.admin, "POST", f"{V3}/credentials", {"credential": {**body, "project_id": user.project_id}})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/users/{user.user_id}"), winners=(1,))


@race("PATCH /identity/v3/credentials/{credential_id}")
async def change_credential(g: Ground) -> Duel:
    made = await a_credential(g)
    return change(g, "credential", f"{V3}/credentials/{made['id']}", {"colour": "one"}, {"size": "two"})


@race("DELETE /identity/v3/credentials/{credential_id}")
async def delete_credential(g: Ground) -> Duel:
    made = await a_credential(g)
    return removal(g, f"{V3}/credentials/{made['id']}", f"{V3}/users/{made['user_id']}")


@race("POST /identity/v3/users/{user_id}/credentials/OS-EC2")
async def create_key(g: Ground) -> Duel:
    user = await g.cloud.project()
    one = Call(g.admin, "POST", f"{V3}/users/{user.user_id}/credentials/OS-EC2", {"tenant_id": user.project_id})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/projects/{user.project_id}"), winners=(2,))


@race("DELETE /identity/v3/users/{user_id}/credentials/OS-EC2/{credential_id}")
async def delete_key(g: Ground) -> Duel:
    user = await g.cloud.project()
    base = f"{V3}/users/{user.user_id}/credentials/OS-EC2"
    made = (await g.admin.post(base, {"tenant_id": user.project_id}, status=201)).json["credential"]
    return removal(g, f"{base}/{made['access']}", f"{V3}/projects/{user.project_id}")


# ---- trusts --------------------------------------------------------------------------------


async def a_trust(g: Ground, **more: Any) -> tuple[Any, Any, dict[str, Any]]:
    trustor, trustee = await g.cloud.project(), await g.cloud.project()
    wish = {
        "trustor_user_id": trustor.user_id, "trustee_user_id": trustee.user_id, "impersonation": True,
        "project_id": trustor.project_id, "roles": [{"name": "member"}], **more,
    }
    return trustor, trustee, wish


@race("POST /identity/v3/OS-TRUST/trusts")
async def create_trust(g: Ground) -> Duel:
    trustor, trustee, wish = await a_trust(g)
    one = Call(trustor, "POST", f"{V3}/OS-TRUST/trusts", {"trust": wish})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/users/{trustee.user_id}"), winners=(2,))


@race("DELETE /identity/v3/OS-TRUST/trusts/{trust_id}")
async def delete_trust(g: Ground) -> Duel:
    trustor, trustee, wish = await a_trust(g)
    made = await g.make(f"{V3}/OS-TRUST/trusts", "trust", trustor, **wish)
    return removal(g, f"{V3}/OS-TRUST/trusts/{made['id']}", f"{V3}/users/{trustee.user_id}")


# ---- signed requests -----------------------------------------------------------------------


@race("POST /identity/v3/ec2tokens")
async def sign_in_with_key(g: Ground) -> Duel:
    user = await g.cloud.project()
    path = f"{V3}/users/{user.user_id}/credentials/OS-EC2"
    key = (await g.admin.post(path, {"tenant_id": user.project_id}, status=201)).json["credential"]
    one = Call(g.admin, "POST", f"{V3}/ec2tokens", {"credentials": signed(key)})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{path}/{key['access']}"), winners=(2,), refusals=(401,))


@race("POST /identity/v3/s3tokens")
async def recognise_with_key(g: Ground) -> Duel:
    user = await g.cloud.project()
    path = f"{V3}/users/{user.user_id}/credentials/OS-EC2"
    key = (await g.admin.post(path, {"tenant_id": user.project_id}, status=201)).json["credential"]
    mac = base64_mac(key["secret"], "text", "sha1")
    given = {"access": key["access"], "signature": mac, "token": base64.b64encode(b"text").decode()}
    one = Call(g.admin, "POST", f"{V3}/s3tokens", {"credentials": given})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{path}/{key['access']}"), winners=(2,), refusals=(401,))


# ---- OAuth1 --------------------------------------------------------------------------------


@race("POST /identity/v3/OS-OAUTH1/consumers")
async def create_consumer(g: Ground) -> Duel:
    made = await oauth1.consumer(g.cloud)
    # Nothing is above a consumer: what may go meanwhile is another.
    one = Call(g.admin, "POST", f"{V3}/OS-OAUTH1/consumers", {"consumer": {"description": "two"}})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/OS-OAUTH1/consumers/{made['id']}"), winners=(2,))


@race("PATCH /identity/v3/OS-OAUTH1/consumers/{consumer_id}")
async def change_consumer(g: Ground) -> Duel:
    made = await oauth1.consumer(g.cloud)
    return change(g, "consumer", f"{V3}/OS-OAUTH1/consumers/{made['id']}", {"description": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/OS-OAUTH1/consumers/{consumer_id}")
async def delete_consumer(g: Ground) -> Duel:
    made = await oauth1.consumer(g.cloud)
    return removal(g, f"{V3}/OS-OAUTH1/consumers/{made['id']}")


def signed_call(g: Ground, path: str, who: Client, **headers: str) -> Call:
    _, found, _ = who.sign("http://cloud.test" + path, http_method="POST")
    return Call(g.cloud.client(), "POST", path, headers={**found, **headers})


@race("POST /identity/v3/OS-OAUTH1/request_token")
async def ask_as_consumer(g: Ground) -> Duel:
    """The same signed request twice counts once."""
    made = await oauth1.consumer(g.cloud)
    who = Client(made["id"], client_secret=made["secret"])
    one = signed_call(g, oauth1.O1 + "/request_token", who, **{"Requested-Project-Id": g.admin.project_id})
    gone = Call(g.admin, "DELETE", f"{V3}/OS-OAUTH1/consumers/{made['id']}")
    return Duel(one, gone=gone, winners=(1,), refusals=(401,))


@race("PUT /identity/v3/OS-OAUTH1/authorize/{request_token_id}")
async def authorize_consumer(g: Ground) -> Duel:
    made = await oauth1.consumer(g.cloud)
    asked = await oauth1.ask(g.cloud, made, g.admin.project_id)
    path = f"{oauth1.O1}/authorize/{asked['oauth_token']}"
    one = Call(g.admin, "PUT", path, {"roles": [{"name": "reader"}]})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/OS-OAUTH1/consumers/{made['id']}"))


@race("POST /identity/v3/OS-OAUTH1/access_token")
async def exchange_token(g: Ground) -> Duel:
    made = await oauth1.consumer(g.cloud)
    asked = await oauth1.ask(g.cloud, made, g.admin.project_id)
    verifier = await oauth1.agree(g.admin, asked["oauth_token"], {"name": "reader"})
    who = oauth1.signing(made, asked, verifier=verifier)
    gone = Call(g.admin, "DELETE", f"{V3}/OS-OAUTH1/consumers/{made['id']}")
    path = oauth1.O1 + "/access_token"
    return Duel(signed_call(g, path, who), signed_call(g, path, who), gone=gone, winners=(1,), refusals=(401,))


@race("DELETE /identity/v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}")
async def take_access_token_back(g: Ground) -> Duel:
    made, granted = await oauth1.danced(g.cloud, g.admin)
    path = f"{V3}/users/{g.admin.user_id}/OS-OAUTH1/access_tokens/{granted['oauth_token']}"
    return removal(g, path, f"{V3}/OS-OAUTH1/consumers/{made['id']}")


# ---- OAuth2 --------------------------------------------------------------------------------


@race("POST /identity/v3/OS-OAUTH2/token")
async def sign_in_as_program(g: Ground) -> Duel:
    user = await g.cloud.project()
    made = await make_app_credential(user, user.user_id)
    form = urlencode({"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["secret"]})
    path = f"{V3}/OS-OAUTH2/token"
    one = Call(g.cloud.client(), "POST", path, form.encode(), content_type="application/x-www-form-urlencoded")
    return Duel(one, gone=Call(user, "DELETE", address(user, made)), winners=(2,), refusals=(401,))
