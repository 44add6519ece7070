# SPDX-License-Identifier: Apache-2.0
"""This cloud as a service provider: asking an identity provider who somebody is, and judging what it answers.

The addresses are ../websso.py and ../signing_in.py. The library verifies signatures, with xmlsec1; recipient,
audience, times and what an answer answers are judged here too, because the library takes some of them as given.
Everything here blocks, and runs in a thread. Source: SAML 2.0 Core, Profiles 4.1 and 4.2.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import structlog

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.federation.agreements import Saml, agreements
from skyhold.identity.federation.arrivals import Word
from skyhold.identity.federation.saml import party
from skyhold.identity.logic import soap

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("saml")

SLACK_S = 60
LONGEST_BYTES = 512 * 1024
MOST_VALUES = 1000
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
PAOS = "urn:oasis:names:tc:SAML:2.0:bindings:PAOS"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SIGNED_WITH = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
DIGESTED_WITH = "http://www.w3.org/2001/04/xmlenc#sha256"
STRONG = ("sha256", "sha384", "sha512")
ENVELOPE = """\
<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header>\
<paos:Request xmlns:paos="urn:liberty:paos:2003-08" soap:mustUnderstand="1" \
soap:actor="http://schemas.xmlsoap.org/soap/actor/next" service="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp" \
responseConsumerURL={here}/>\
<ecp:Request xmlns:ecp="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp" soap:mustUnderstand="1" \
soap:actor="http://schemas.xmlsoap.org/soap/actor/next">\
<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">{issuer}</saml:Issuer></ecp:Request>\
<ecp:RelayState xmlns:ecp="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp" soap:mustUnderstand="1" \
soap:actor="http://schemas.xmlsoap.org/soap/actor/next">{state}</ecp:RelayState>\
</soap:Header><soap:Body>{request}</soap:Body></soap:Envelope>
"""


class Consumer:
    """One of the agreements, as the library wants to know it."""

    def __init__(self, core: Core, provider_id: str, protocol_id: str, agreement: Saml) -> None:
        from saml2.client import Saml2Client
        from saml2.config import SPConfig

        self.agreement, self.entity_id = agreement, party.url(core, party.SP_METADATA)
        self.provider_id, self.protocol_id = provider_id, protocol_id
        self.here = party.auth_url(core, provider_id, protocol_id)
        self.addresses = (party.url(core, party.ACS), self.here)
        self._client = Saml2Client(config=SPConfig().load(settings(core, self.entity_id, [self.here], agreement)))
        # The library would remember everybody it ever heard of.
        self._client.users = Forgetful()

    def request(self, state: str) -> tuple[str, str]:
        """(id of the request, where to send the browser)."""
        request_id, found = self._client.prepare_for_authenticate(
            entityid=self.agreement.entity_id, relay_state=state, binding=REDIRECT, response_binding=POST, sign=True,
        )
        return request_id, dict(found["headers"])["Location"]

    def envelope(self, seal: Callable[[str], str]) -> str:
        """The request to a program that carries it to its provider itself (ECP); `seal` makes the relay state
        of the request's id. By hand, for the library can wrap only what isn't signed."""
        where = self._client._sso_location(self.agreement.entity_id, binding=SOAP)
        request_id, signed = self._client.create_authn_request(
            where, binding=PAOS, service_url_binding=PAOS, sign=True
        )
        xml = str(signed)
        xml = xml.partition("?>")[2] if xml.startswith("<?xml") else xml
        return ENVELOPE.format(
            here=quoteattr(self.here), issuer=escape(self.entity_id), state=escape(seal(request_id)), request=xml
        )

    def judge(self, xml: bytes, request_id: str | None) -> Word:
        """What this response says, in answer to that request. Raises Unauthorized."""
        root = soap.check(xml)
        check_algorithms(root)
        known = {request_id: "/"} if request_id else {}
        try:
            found = self._client.parse_authn_request_response(base64.b64encode(xml).decode(), POST, known)
            assertion = found.assertion
            issuer = found.issuer()
        except Exception as error:
            # The library raises dozens of kinds; to who asks they are all one.
            why = f"{type(error).__name__}: {error}"[:300]
            log.info("an assertion was refused", provider=self.provider_id, why=why)
            raise soap.bad("its signature, its times or its form does not hold") from None
        if assertion is None:
            raise soap.bad("it is for another place, or says nothing")
        if len(root.findall(".//{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")) != 1:
            raise soap.bad("it has not exactly one assertion")
        if issuer != self.agreement.entity_id or assertion.issuer.text.strip() != self.agreement.entity_id:
            raise soap.bad("it is another identity provider's")
        self.check_subject(assertion, request_id)
        self.check_audience(assertion)
        return self.word(assertion, found)

    def check_subject(self, assertion: Any, request_id: str | None) -> None:
        """Somebody who carries it may use it: here, now, and in answer to what was asked."""
        for each in assertion.subject.subject_confirmation:
            told = each.subject_confirmation_data
            fits = each.method == BEARER and told is not None and told.recipient in self.addresses
            answers = told is not None and told.in_response_to == request_id
            if fits and told.not_on_or_after and answers and (request_id or self.agreement.unsolicited):
                return
        raise soap.bad("it is for another place, or answers another request")

    def check_audience(self, assertion: Any) -> None:
        """A cloud that sends its users names us by the address; everybody else by our name."""
        conditions = assertion.conditions
        if conditions is None or not conditions.not_on_or_after:
            raise soap.bad("it never ends")
        named = [audience.text.strip() for each in conditions.audience_restriction for audience in each.audience]
        if self.entity_id not in named and not (self.agreement.unsolicited and not named):
            raise soap.bad("it is for another audience")

    def word(self, assertion: Any, found: Any) -> Word:
        told = attributes_of(assertion)
        issuer = self.agreement.entity_id
        told |= {"MELLON_IDP": (issuer,), "Shib-Identity-Provider": (issuer,)}
        name_id = assertion.subject.name_id
        if name_id is not None and name_id.text:
            told |= {"REMOTE_USER": (name_id.text.strip(),), "MELLON_NAME_ID": (name_id.text.strip(),)}
        ends_s = getattr(found, "session_not_on_or_after", 0) or 0
        last = datetime.fromisoformat(assertion.conditions.not_on_or_after.replace("Z", "+00:00"))
        return Word(
            provider_id=self.provider_id, protocol_id=self.protocol_id, remote_id=issuer, assertion=told,
            ends_at=int(ends_s) * 1_000_000 if ends_s else None, once=f"{issuer} {assertion.id}",
            forget_at=int(last.timestamp() + 2 * SLACK_S) * 1_000_000,
        )


def check_algorithms(root: Any) -> None:
    """None of those that are broken, whatever the library still takes."""
    for name in ("SignatureMethod", "DigestMethod"):
        for each in root.iter(f"{{http://www.w3.org/2000/09/xmldsig#}}{name}"):
            if not each.get("Algorithm", "").endswith(STRONG):
                raise soap.bad("it is signed with an algorithm that is too weak")


class Forgetful:
    def add_information_about_person(self, told: Any) -> None:
        """Nothing: who it was is in our own tables."""


def attributes_of(assertion: Any) -> dict[str, tuple[str, ...]]:
    """By name, by friendly name, and as mod_auth_mellon calls them for Keystone."""
    found: dict[str, tuple[str, ...]] = {}
    for statement in assertion.attribute_statement:
        for attribute in statement.attribute:
            values = tuple(each.text.strip() for each in attribute.attribute_value[:MOST_VALUES] if each.text)
            for name in (attribute.name, attribute.friendly_name):
                if name and values:
                    found.setdefault(name, values)
                    found.setdefault(f"MELLON_{name}", values)
    return found


def settings(core: Core, entity_id: str, programs: list[str], agreement: Saml | None) -> dict[str, Any]:
    """As the library wants it; `programs` are the addresses that ECP comes to."""
    files, acs = party.files(core), party.url(core, party.ACS)
    addresses = [(acs, POST), *((each, POST) for each in programs), *((each, PAOS) for each in programs)]
    return {
        "entityid": entity_id, "xmlsec_binary": party.tool(), "key_file": files.key, "cert_file": files.certificate,
        "metadata": {"local": [agreement.metadata]} if agreement is not None else {},
        "accepted_time_diff": SLACK_S, "allow_unknown_attributes": True, "delete_tmpfiles": True,
        "service": {"sp": {
            "endpoints": {"assertion_consumer_service": addresses}, "authn_requests_signed": True,
            "signing_algorithm": SIGNED_WITH, "digest_algorithm": DIGESTED_WITH,
            "want_assertions_signed": True, "want_response_signed": False, "only_use_keys_in_metadata": True,
            "allow_unsolicited": agreement is not None and agreement.unsolicited,
        }},
    }


def consumer(core: Core, provider_id: str, protocol_id: str, agreement: Saml) -> Consumer:
    """Raises Unavailable when the agreement's metadata can't be used."""
    known: dict[tuple[str, str, Saml], Consumer] = core.shelf.setdefault("identity.saml", {})
    key = (provider_id, protocol_id, agreement)
    if key not in known:
        try:
            known[key] = Consumer(core, provider_id, protocol_id, agreement)
        except errors.Error:
            raise
        except Exception:
            log.exception("the metadata of an identity provider can't be used", provider=provider_id)
            raise errors.Unavailable(f"The agreement with {provider_id} can't be used: see the log.") from None
    return known[key]


async def request(ctx: Context, provider_id: str, protocol_id: str, agreement: Saml, state: str) -> tuple[str, str]:
    def ask() -> tuple[str, str]:
        return consumer(ctx.core, provider_id, protocol_id, agreement).request(state)

    return await party.aside(ctx.core, ask)


async def envelope(
    ctx: Context, provider_id: str, protocol_id: str, agreement: Saml, seal: Callable[[str], str]
) -> str:
    def ask() -> str:
        return consumer(ctx.core, provider_id, protocol_id, agreement).envelope(seal)

    return await party.aside(ctx.core, ask)


async def judged(
    ctx: Context, provider_id: str, protocol_id: str, agreement: Saml, xml: bytes, request_id: str | None
) -> Word:
    def judge() -> Word:
        return consumer(ctx.core, provider_id, protocol_id, agreement).judge(xml, request_id)

    return await party.aside(ctx.core, judge)


async def metadata(ctx: Context) -> str:
    """What identity providers must know of us."""
    def describe() -> str:
        from saml2.config import SPConfig
        from saml2.metadata import entity_descriptor

        programs = [
            party.auth_url(ctx.core, provider, protocol)
            for provider, told in agreements(ctx.core).saml.items() for protocol in told
        ]
        config = SPConfig().load(settings(ctx.core, party.url(ctx.core, party.SP_METADATA), programs, None))
        return str(entity_descriptor(config))

    return await party.aside(ctx.core, describe)


def in_form(told: Mapping[str, Any]) -> bytes:
    """A form's SAMLResponse as XML. Raises Unauthorized."""
    try:
        xml = base64.b64decode(str(told.get("SAMLResponse", "")), validate=False)
    except ValueError:
        raise soap.bad("it is not in base64") from None
    if not xml or len(xml) > LONGEST_BYTES:
        raise soap.bad("there is none, or it is too long")
    return xml
