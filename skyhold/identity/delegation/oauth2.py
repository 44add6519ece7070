# SPDX-License-Identifier: Apache-2.0
"""OAuth 2.0 client credentials (RFC 6749, 4.4): a program gets a token as an application credential, or as a user
by its client certificate (RFC 8705).

The other grants are the issuer's (identity/issuer/). A token got by certificate is bound to it: core/http/caller.py
takes it only together with that certificate. Errors are in RFC 6749's words, not in identity's dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.caller import thumbprint
from skyhold.core.http.routes import PUBLIC, Reply, Routes, Stream
from skyhold.identity import forms, users
from skyhold.identity.auth import issuing, methods, receipts, shape
from skyhold.identity.auth.proof import Proof, fresh
from skyhold.identity.auth.sessions import Known
from skyhold.identity.auth.subjects import user_with_id
from skyhold.identity.federation import mappings
from skyhold.identity.issuer.granting import UNSTORED, Refused, basic
from skyhold.identity.logic.mapping import User, parse

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

GRANT = "client_credentials"
SUBJECT, ISSUER = "SSL_CLIENT_SUBJECT_DN_", "SSL_CLIENT_ISSUER_DN_"
"""How a mapping names the parts of a certificate's names: upstream's words, which are Apache's."""

routes = Routes()


@routes.post("/v3/OS-OAUTH2/token", policy=PUBLIC, stream=True, headers=("Authorization",))
async def token(ctx: Context, headers: Mapping[str, str | None], stream: Stream) -> Reply:
    """Give a program a token for its own credentials or its certificate."""
    try:
        known = await granted(ctx, await fields(stream), headers["Authorization"])
    except Refused as refusal:
        more = {"WWW-Authenticate": f'Keystone uri="{ctx.core.settings.public_url}/identity"'}
        refused = {"error": refusal.error, "error_description": refusal.why}
        return Reply(refused, status=refusal.status, headers=UNSTORED | (more if refusal.status == 401 else {}))
    lasts_s = max(0, (known.expires_at - ctx.now) // 1_000_000)
    told = {"access_token": known.creds.token, "token_type": "Bearer", "expires_in": lasts_s}
    return Reply(told, headers=UNSTORED)


async def fields(stream: Stream) -> dict[str, str]:
    try:
        return await forms.fields(stream)
    except (errors.Invalid, errors.UnsupportedMedia, errors.TooLarge) as error:
        raise Refused("invalid_request", error.message) from None


async def granted(ctx: Context, form: Mapping[str, str], authorization: str | None) -> Known:
    """Raises Refused."""
    kind = form.get("grant_type")
    if not kind:
        raise Refused("invalid_request", "The parameter grant_type is required.")
    if kind != GRANT:
        raise Refused("unsupported_grant_type", f"The parameter grant_type {kind[:80]} is not supported.")
    client_id, secret = form.get("client_id", ""), form.get("client_secret")
    if authorization:
        client_id, secret = basic(authorization)
    try:
        if secret is not None:
            return await by_secret(ctx, client_id, secret)
        return await by_certificate(ctx, client_id)
    except (errors.Unauthorized, errors.Forbidden, errors.Invalid):
        raise failed() from None


def failed() -> Refused:
    """Alike whatever was wrong."""
    return Refused("invalid_client", "Client authentication failed.", 401)


async def by_secret(ctx: Context, client_id: str, secret: str) -> Known:
    """The client is an application credential."""
    if not client_id or len(client_id) > 64:
        raise failed()
    given = shape.ByAppCredential(id=client_id, secret=secret)
    proof = await methods.by_app_credential(
        ctx, shape.Identity(methods=["application_credential"], application_credential=given)
    )
    return await handed_out(ctx, proof)


async def handed_out(ctx: Context, proof: Proof) -> Known:
    """Who must prove more than this can't do so here."""
    if receipts.lacking(proof) is not None:
        raise failed()
    return await issuing.hand_out(ctx, proof)


async def by_certificate(ctx: Context, client_id: str) -> Known:
    """The client is a user, whom the certificate's names are mapped to; it gets the user's default project."""
    if ctx.certificate is None or not client_id or len(client_id) > 64:
        raise failed()
    proof = await ctx.read(owner, client_id, assertion(ctx.certificate))
    known = await handed_out(ctx, proof)
    if known.creds.project_id is None:
        raise failed()
    return known


def owner(tx: Tx, ctx: Context, client_id: str, said: dict[str, list[str]]) -> Proof:
    """Raises Refused unless the mapping makes this very user of the certificate."""
    mapping = mappings.store.find(tx, ctx.core.settings.identity.oauth2_mapping)
    user, row = user_with_id(tx, client_id), users.store.find(tx, client_id)
    if mapping is None or user is None or row is None:
        raise failed()
    # A user that is here is meant: its domain is the mapping's to say, which 1.0 leaves to users called local.
    meant = parse(mapping.rules, max(mapping.schema_version, "2.0")).apply(said).user
    told = {"id": user.id, "name": user.name, "email": row.extra.get("email"), "domain_id": user.domain_id,
            "domain_name": user.domain_name}
    if meant is None or not fits(meant, told):
        raise failed()
    return fresh(ctx, user, "oauth2_credential", thumbprint=thumbprint(ctx.certificate))


def fits(meant: User, told: Mapping[str, Any]) -> bool:
    """All that the mapping says must be so, and it must say who."""
    domain = meant.domain
    said = {
        "id": meant.id, "name": meant.name, "email": meant.email, "domain_id": domain and domain.id,
        "domain_name": domain and domain.name,
    }
    wrong = [name for name, value in said.items() if value is not None and value != told[name]]
    unique = meant.id is not None or (meant.name is not None and domain is not None)
    return unique and not wrong


def assertion(certificate: bytes) -> dict[str, list[str]]:
    """The parts of the names of a certificate and of its issuer, as a mapping takes them."""
    from cryptography import x509

    try:
        found = x509.load_der_x509_certificate(certificate)
        names = {SUBJECT: found.subject, ISSUER: found.issuer}
    except ValueError:
        raise failed() from None
    said: dict[str, list[str]] = {}
    for prefix, name in names.items():
        for part in name:
            said.setdefault(prefix + word_of(part), []).append(str(part.value))
    return said


def word_of(part: Any) -> str:
    from cryptography.x509.oid import NameOID

    words = {NameOID.EMAIL_ADDRESS: "EMAILADDRESS", NameOID.SERIAL_NUMBER: "SERIALNUMBER"}
    return words.get(part.oid) or str(part.rfc4514_attribute_name).upper()
