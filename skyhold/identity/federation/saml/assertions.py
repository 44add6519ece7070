# SPDX-License-Identifier: Apache-2.0
"""This cloud as an identity provider for other clouds: a signed assertion about the bearer of a token.

Which clouds there are is ../service_providers.py; what they make of it is their mapping. An assertion tells of a
user in a project, so a token of a delegation gets none: there it would be worth more than here. Source: Keystone's
API reference on SAML assertions, SAML 2.0 Core.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from html import escape
from typing import Any

import orjson
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.core.shapes import Shape, envelope, field
from skyhold.identity.auth import shape
from skyhold.identity.auth.sessions import sessions
from skyhold.identity.auth.validate import Valid
from skyhold.identity.federation import service_providers
from skyhold.identity.federation.saml import party
from skyhold.identity.federation.saml.consumer import DIGESTED_WITH, SIGNED_WITH
from skyhold.identity.tables import GROUPS, MEMBERSHIPS, PROJECTS

routes = Routes()
LASTS_S = 300
MOST_GROUPS = 200
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"


class To(Shape, extra="ignore"):
    id: str = field(min=1, max=64)


class Scope(Shape, extra="ignore"):
    service_provider: To


class Identity(Shape, extra="ignore"):
    methods: list[str] = field(max_items=16)
    token: shape.ByToken


class Wish(Shape, extra="ignore"):
    identity: Identity
    scope: Scope


BODY = envelope("auth", Wish, outer="ignore")


@routes.post(party.BASE, policy=PUBLIC, body=BODY)
async def plain(ctx: Context, want: Wish) -> Reply:
    """Make an assertion about the bearer of a token, for another cloud."""
    response, _ = await made(ctx, want)
    return Reply(response.encode(), content_type="text/xml; charset=utf-8")


@routes.post(party.BASE + "/ecp", policy=PUBLIC, body=BODY)
async def wrapped(ctx: Context, want: Wish) -> Reply:
    """Make an assertion about the bearer of a token, in an envelope as another cloud takes it."""
    response, provider = await made(ctx, want)
    head = f'<ecp:RelayState soap:actor="http://schemas.xmlsoap.org/soap/actor/next" soap:mustUnderstand="1">' \
           f"{escape(provider.relay_state_prefix or '')}{secrets.token_hex(16)}</ecp:RelayState>"
    text = (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:ecp="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp">'
        f"<soap:Header>{head}</soap:Header><soap:Body>{without_declaration(response)}</soap:Body></soap:Envelope>"
    )
    return Reply(text.encode(), content_type="text/xml; charset=utf-8")


@routes.get(party.IDP_METADATA, policy=PUBLIC)
async def metadata(ctx: Context) -> Reply:
    """Show what other clouds must know of this one as an identity provider."""
    return Reply((await party.aside(ctx.core, lambda: described(ctx))).encode(), content_type="text/xml; charset=utf-8")


async def made(ctx: Context, want: Wish) -> tuple[str, Any]:
    """The signed response, and the provider it is for. Raises Unauthorized, Forbidden, NotFound."""
    if want.identity.methods != ["token"]:
        raise errors.Unauthorized("An assertion is made for a token.", reason="unsupported_method")
    try:
        valid = (await sessions(ctx.core).look(want.identity.token.id)).valid
    except errors.NotFound:
        raise errors.Unauthorized("The request you have made requires authentication.", reason="denied") from None
    if valid.token.scope != "project" or valid.place is None:
        raise errors.Forbidden("Use a project scoped token when attempting to create a SAML assertion.")
    if valid.bounds:
        raise errors.Forbidden("A token of a delegation is not passed on to another cloud.", reason="restricted")
    provider, told = await ctx.read(facts, valid, want.scope.service_provider.id)
    return await party.aside(ctx.core, lambda: signed(ctx, valid, provider, told)), provider


def facts(tx: Tx, ctx: Context, valid: Valid, provider_id: str) -> tuple[Any, dict[str, list[str]]]:
    provider = service_providers.store.find(tx, provider_id)
    if provider is None:
        raise service_providers.store.not_found(provider_id)
    if not provider.enabled:
        raise errors.Forbidden(f"Service Provider {provider_id} is disabled.", reason="provider_disabled")
    place = valid.place
    assert place is not None
    return provider, {
        "openstack_user": [valid.user.name], "openstack_user_domain": [valid.user.domain_name],
        "openstack_roles": [name for _, name in valid.roles], "openstack_project": [place.name],
        "openstack_project_domain": [place.domain_name], "openstack_groups": groups_of(tx, valid.user.id),
    }


def groups_of(tx: Tx, user_id: str) -> list[str]:
    """As Keystone spells them: JSON with the domain, for a name alone says little elsewhere."""
    rows = tx.all(
        sa.select(GROUPS.c.name, PROJECTS.c.name.label("domain"))
        .join(MEMBERSHIPS, MEMBERSHIPS.c.group_id == GROUPS.c.id).join(PROJECTS, PROJECTS.c.id == GROUPS.c.domain_id)
        .where(MEMBERSHIPS.c.user_id == user_id).order_by(GROUPS.c.name, GROUPS.c.id).limit(MOST_GROUPS)
    )
    return ["JSON:" + orjson.dumps({"name": row.name, "domain": {"name": row.domain}}).decode() for row in rows]


# ---- in threads ------------------------------------------------------------------------------


def signed(ctx: Context, valid: Valid, provider: Any, told: dict[str, list[str]]) -> str:
    from saml2 import saml, samlp
    from saml2.sigver import pre_signature_part

    now_s = ctx.now // 1_000_000
    ends_s = min(now_s + LASTS_S, valid.ends_at // 1_000_000)
    issuer, assertion_id = party.url(ctx.core, party.IDP_METADATA), "_" + secrets.token_hex(16)
    confirmed = saml.SubjectConfirmationData(not_on_or_after=moment(ends_s), recipient=provider.sp_url)
    assertion = saml.Assertion(
        id=assertion_id, version="2.0", issue_instant=moment(now_s), issuer=saml.Issuer(text=issuer),
        signature=pre_signature_part(assertion_id, certificate(ctx), 1, DIGESTED_WITH, SIGNED_WITH),
        subject=saml.Subject(
            name_id=saml.NameID(format=saml.NAMEID_FORMAT_PERSISTENT, text=valid.user.id),
            subject_confirmation=[
                saml.SubjectConfirmation(method=saml.SCM_BEARER, subject_confirmation_data=confirmed)
            ],
        ),
        conditions=saml.Conditions(not_before=moment(now_s), not_on_or_after=moment(ends_s)),
        authn_statement=[saml.AuthnStatement(
            authn_instant=moment(valid.token.issued_at // 1_000_000), session_index=secrets.token_hex(16),
            session_not_on_or_after=moment(valid.ends_at // 1_000_000),
            authn_context=saml.AuthnContext(
                authn_context_class_ref=saml.AuthnContextClassRef(text=saml.AUTHN_PASSWORD),
                authenticating_authority=[saml.AuthenticatingAuthority(text=issuer)],
            ),
        )],
        attribute_statement=[
            saml.AttributeStatement(attribute=[attribute(name, values) for name, values in told.items() if values])
        ],
    )
    response = samlp.Response(
        id="_" + secrets.token_hex(16), version="2.0", issue_instant=moment(now_s), destination=provider.sp_url,
        issuer=saml.Issuer(text=issuer), assertion=[assertion],
        status=samlp.Status(status_code=samlp.StatusCode(value=samlp.STATUS_SUCCESS)),
    )
    return str(tool(ctx).sign_statement(
        str(response), "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", party.files(ctx.core).key, assertion_id
    ))


def attribute(name: str, values: list[str]) -> Any:
    from saml2 import saml

    def value(text: str) -> Any:
        made = saml.AttributeValue()
        made.set_text(text)
        return made

    return saml.Attribute(name=name, name_format=BASIC, attribute_value=[value(each) for each in values])


def tool(ctx: Context) -> Any:
    from saml2.sigver import CryptoBackendXmlSec1

    return CryptoBackendXmlSec1(party.tool())


def certificate(ctx: Context) -> str:
    """Its base64 alone, as a signature carries it."""
    with open(party.files(ctx.core).certificate) as file:
        return "".join(line.strip() for line in file if "-----" not in line)


def described(ctx: Context) -> str:
    """The metadata, by hand: it is short, and holds no request of anybody."""
    entity = escape(party.url(ctx.core, party.IDP_METADATA))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" '
        f'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{entity}">\n'
        '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">\n'
        '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>'
        f"{certificate(ctx)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\n"
        "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>\n"
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:URI" '
        f'Location="{escape(party.url(ctx.core, party.BASE))}"/>\n'
        "</md:IDPSSODescriptor>\n</md:EntityDescriptor>\n"
    )


def moment(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_declaration(xml: str) -> str:
    return xml.partition("?>")[2].strip() if xml.lstrip().startswith("<?xml") else xml


