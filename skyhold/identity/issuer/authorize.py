# SPDX-License-Identifier: Apache-2.0
"""The page where a user signs in for a client, and the code that the browser takes back.

What a code is good for is granting.py. There is no session: whoever comes again signs in again. What the client
asked for is carried sealed in the form, so what was checked before is what is granted after.
"""

from __future__ import annotations

import secrets
from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import PUBLIC, Reply, Routes, Stream
from skyhold.core.shapes import Shape, field
from skyhold.identity import forms, users
from skyhold.identity.auth import methods, receipts, shape
from skyhold.identity.auth.proof import Proof, denied
from skyhold.identity.federation import pages
from skyhold.identity.issuer import clients
from skyhold.identity.issuer.discovery import SCOPES
from skyhold.identity.issuer.signing import issuer_url
from skyhold.identity.issuer.tables import CODES

routes = Routes()
CODE_LASTS_US = 60 * 1_000_000
FORM_LASTS_US = 900 * 1_000_000


class AuthorizeQuery(Shape, extra="ignore"):
    response_type: str | None = field(default=None)
    client_id: str | None = field(default=None)
    redirect_uri: str | None = field(default=None)
    scope: str | None = field(default=None)
    state: str | None = field(default=None)
    nonce: str | None = field(default=None)
    code_challenge: str | None = field(default=None)
    code_challenge_method: str | None = field(default=None)
    request: str | None = field(default=None)
    request_uri: str | None = field(default=None)
    prompt: str | None = field(default=None)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A client's request that was checked."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str | None
    nonce: str | None
    challenge: str | None
    ends_at: int


class Refusal(NamedTuple):
    """An answer to the client itself, by way of the browser (RFC 6749 4.1.2.1)."""

    error: str
    why: str


@routes.get("/oidc/authorize", policy=PUBLIC, query=AuthorizeQuery)
async def ask(ctx: Context, query: AuthorizeQuery) -> Reply:
    """Show the page where a user signs in for a client."""
    client = await ctx.read(client_asking, query)
    refusal = refused(query, client)
    if refusal is not None:
        return back(ctx, query.redirect_uri or "", query.state, error=refusal.error, error_description=refusal.why)
    asked = Asked(
        client_id=client.id, redirect_uri=query.redirect_uri or "", scope=usable(query.scope or ""),
        state=query.state, nonce=query.nonce, challenge=query.code_challenge, ends_at=ctx.now + FORM_LASTS_US,
    )
    return login_page(ctx, client.name, asked, ctx.core.keyring.seal(msgspec.json.encode(asked)))


@routes.post("/oidc/authorize", policy=PUBLIC, stream=True, status=303)
async def sign_in(ctx: Context, stream: Stream) -> Reply:
    """Sign in for a client; the browser goes back to it with a code."""
    form = await forms.fields(stream)
    sealed = form.get("request", "")
    asked = opened(ctx, sealed)
    try:
        proof = await proved(ctx, form)
    except (errors.Unauthorized, errors.Invalid) as error:
        client = await ctx.read(client_of, asked)
        problem = error.message if error.reason in TOLD else "The name, the domain or the password is wrong."
        return login_page(ctx, client.name, asked, sealed, problem, form.get("username", ""), form.get("domain", ""))
    code = secrets.token_urlsafe(32)
    await ctx.write(keep, asked, code, proof)
    return back(ctx, asked.redirect_uri, asked.state, code=code)


TOLD = ("password_expired", "more_methods_needed")
"""Problems that who knows the password may learn of."""


async def proved(ctx: Context, form: dict[str, str]) -> Proof:
    """By password, and with a passcode where the user's rules ask for one. Raises Unauthorized."""
    name, domain = form.get("username", ""), form.get("domain", "") or "Default"
    name, of = name[:255], shape.DomainRef(name=domain[:255])
    passcode = form.get("passcode", "")
    identity = shape.Identity(
        methods=["password", "totp"] if passcode else ["password"],
        password=shape.ByPassword(user=shape.PasswordUser(name=name, domain=of, password=form.get("password", ""))),
        totp=shape.ByTotp(user=shape.TotpUser(name=name, domain=of, passcode=passcode[:64])) if passcode else None,
    )
    proof = await methods.prove(ctx, identity)
    if receipts.lacking(proof) is not None:
        raise errors.Unauthorized("This user needs a passcode as well.", reason="more_methods_needed")
    return proof


# ---- what the client asks for ----------------------------------------------------------------


def client_asking(tx: Tx, ctx: Context, query: AuthorizeQuery) -> Any:
    """Raises Invalid, which is shown here: a browser isn't sent to where nobody registered."""
    client = clients.store.find(tx, query.client_id) if query.client_id and len(query.client_id) <= 64 else None
    if client is None:
        raise errors.Invalid("No such client is registered here.", reason="unknown_client")
    if query.redirect_uri not in client.redirect_uris:
        raise errors.Invalid("The client did not register this redirect URI.", reason="bad_redirect_uri")
    return client


def client_of(tx: Tx, ctx: Context, asked: Asked) -> Any:
    client = clients.store.find(tx, asked.client_id)
    if client is None or asked.redirect_uri not in client.redirect_uris:
        raise errors.Invalid("The client is not registered any more.", reason="unknown_client")
    return client


def refused(query: AuthorizeQuery, client: Any) -> Refusal | None:
    if query.request is not None or query.request_uri is not None:
        return Refusal("request_not_supported", "Requests are taken as plain parameters.")
    if query.response_type != "code":
        return Refusal("unsupported_response_type", "The response type is code.")
    if "openid" not in (query.scope or "").split():
        return Refusal("invalid_scope", "The scope holds openid.")
    if query.code_challenge is None and client.secret_digest is None:
        return Refusal("invalid_request", "A public client sends a code_challenge.")
    if query.code_challenge is not None and query.code_challenge_method != "S256":
        return Refusal("invalid_request", "The code_challenge_method is S256.")
    if query.code_challenge is not None and not 43 <= len(query.code_challenge) <= 128:
        return Refusal("invalid_request", "The code_challenge is 43 to 128 characters long.")
    if max(len(query.nonce or ""), len(query.state or "")) > 255:
        return Refusal("invalid_request", "State and nonce are at most 255 characters long.")
    if query.prompt == "none":
        return Refusal("login_required", "Nobody is signed in: there is no session.")
    return None


def usable(scope: str) -> str:
    return " ".join(each for each in SCOPES if each in scope.split())


def opened(ctx: Context, sealed: str) -> Asked:
    try:
        asked = msgspec.json.decode(ctx.core.keyring.open(sealed), type=Asked)
    except (ValueError, msgspec.MsgspecError):
        raise errors.Invalid("This form was not made here: start again at the program.", reason="bad_form") from None
    if asked.ends_at <= ctx.now:
        raise errors.Invalid("This form is too old: start again at the program.", reason="bad_form")
    return asked


# ---- answers ---------------------------------------------------------------------------------


def keep(tx: Tx, ctx: Context, asked: Asked, code: str, proof: Proof) -> None:
    """Raises Unauthorized when the user went meanwhile, Invalid when the client did."""
    client_of(tx, ctx, asked)
    if users.store.find(tx, proof.user_id, lock="stay") is None or \
            clients.store.find(tx, asked.client_id, lock="stay") is None:
        raise denied()
    tx.execute(CODES.insert(), {
        "id": clients.digest(code), "client_id": asked.client_id, "user_id": proof.user_id,
        "user_generation": proof.user_generation, "scope": asked.scope, "authenticated_at": ctx.now,
        "ends_at": ctx.now + CODE_LASTS_US, "redirect_uri": asked.redirect_uri, "challenge": asked.challenge,
        "nonce": asked.nonce,
    })


def back(ctx: Context, redirect_uri: str, state: str | None, **answer: str) -> Reply:
    told = {**answer, "iss": issuer_url(ctx), **({"state": state} if state is not None else {})}
    to = f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(told)}"
    return Reply(status=303, headers={"Location": to, "Cache-Control": "no-store", **pages.SAFE})


def login_page(
    ctx: Context, client: str, asked: Asked, sealed: str, problem: str = "", username: str = "", domain: str = ""
) -> Reply:
    told = f'<p class="problem" role="alert">{escape(problem)}</p>\n' if problem else ""
    body = (
        f"<p>to <strong>{escape(client)}</strong></p>\n{told}"
        f'<form method="post" action="{escape(issuer_url(ctx))}/authorize">\n'
        f'<input type="hidden" name="request" value="{escape(sealed)}">\n'
        f'<label for="u">User</label>\n<input id="u" name="username" required value="{escape(username)}" '
        'autocomplete="username">\n'
        f'<label for="d">Domain</label>\n<input id="d" name="domain" value="{escape(domain or "Default")}">\n'
        '<label for="p">Password</label>\n<input id="p" name="password" type="password" required '
        'autocomplete="current-password">\n'
        '<label for="c">Passcode, if you have one</label>\n<input id="c" name="passcode" inputmode="numeric" '
        'autocomplete="one-time-code">\n'
        '<button type="submit">Sign in</button>\n</form>'
    )
    # Browsers hold a form's redirect to the same policy as the form.
    goes = (issuer_url(ctx), asked.redirect_uri)
    return pages.page(ctx, "Sign in", body, forms_to=goes, status=401 if problem else 200)
