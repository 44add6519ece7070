# SPDX-License-Identifier: Apache-2.0
"""The one message in a SOAP envelope, byte by byte as it was sent: so that what is verified is what is read.

A signature holds for bytes; a library that reads one copy of a message and verifies another can be shown two
different ones. XML with entities, or with an id twice, is refused here (SAML 2.0 Profiles 4.2, bindings 3.2).
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import defusedxml.ElementTree as ET
from defusedxml.common import DefusedXmlException

from skyhold.core import errors

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
ECP = "{urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp}"


def check(xml: bytes) -> Any:
    """The parsed root. Raises Unauthorized for XML that nobody honest sends."""
    try:
        xml.decode()
        root = ET.fromstring(xml, forbid_dtd=True)
    except (ET.ParseError, DefusedXmlException, ValueError):
        raise bad("it is no XML, or has entities") from None
    ids = [value for each in root.iter() for name, value in each.attrib.items() if name in ("ID", "Id", "id")]
    if len(ids) != len(set(ids)):
        raise bad("an id stands in it twice")
    return root


def message(envelope: bytes) -> tuple[bytes, str]:
    """What stands alone in the body, and the relay state of the header. Raises Unauthorized."""
    root = check(envelope)
    body = root.find(f"{SOAP}Body")
    if root.tag != f"{SOAP}Envelope" or body is None or len(body) != 1 or list(root).index(body) != len(root) - 1:
        raise bad("it is no SOAP envelope with one message")
    state = root.find(f"{SOAP}Header/{ECP}RelayState")
    if b"\0" in envelope:
        raise bad("it is not in UTF-8")
    return sliced(envelope), (state.text or "" if state is not None else "").strip()


def sliced(envelope: bytes) -> bytes:
    """The element that is the first of the last one: with the namespaces that it was in, which exclusive
    canonicalisation leaves as they were."""
    reader = Reader()
    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler = lambda name, attributes: reader.start(parser.CurrentByteIndex, name, attributes)
    parser.EndElementHandler = lambda name: reader.end(parser.CurrentByteIndex)
    parser.CharacterDataHandler = parser.CommentHandler = reader.inside
    parser.ProcessingInstructionHandler = reader.inside
    parser.Parse(envelope, True)
    cut = envelope[reader.begun : reader.ended]
    # Of an element that is one tag, the parser reports the end behind it; else before the closing one.
    one_tag = not reader.filled and cut.endswith(b"/>")
    whole = cut if one_tag else cut + envelope[reader.ended : envelope.index(b">", reader.ended) + 1]
    name = reader.name.encode()
    declared = "".join(f" {prefix}={quoteattr(uri)}" for prefix, uri in reader.around.items()).encode()
    return b"<" + name + declared + whole[1 + len(name) :]


class Reader:
    """Where the element at depth two begins and ends, of the last that there is."""

    def __init__(self) -> None:
        self.depth = 0
        self.scopes: list[dict[str, str]] = []
        self.name, self.begun, self.ended = "", 0, 0
        self.around: dict[str, str] = {}
        self.filled = False

    def inside(self, *said: str) -> None:
        self.filled = self.filled or self.depth > 2

    def start(self, at: int, name: str, attributes: list[str]) -> None:
        pairs = dict(zip(attributes[::2], attributes[1::2], strict=True))
        self.inside()
        declared = {key: value for key, value in pairs.items() if key == "xmlns" or key.startswith("xmlns:")}
        if self.depth == 2:
            inherited = {key: value for scope in self.scopes for key, value in scope.items()}
            self.name, self.begun, self.filled = name, at, False
            self.around = {key: value for key, value in inherited.items() if key not in declared}
        self.scopes.append(declared)
        self.depth += 1

    def end(self, at: int) -> None:
        self.depth -= 1
        self.scopes.pop()
        if self.depth == 2:
            self.ended = at


def bad(why: str) -> errors.Unauthorized:
    return errors.Unauthorized(f"The identity provider's answer is not good: {why}.", reason="bad_assertion")
