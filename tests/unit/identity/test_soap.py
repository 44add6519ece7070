# SPDX-License-Identifier: Apache-2.0
"""The one message in an envelope: what is cut out is what was sent, and nothing else gets through."""

from __future__ import annotations

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.identity.logic import soap

ENVELOPE = (
    '<?xml version="1.0"?>\n<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="urn:p" {more}>'
    "<S:Header>{header}</S:Header><S:Body>{body}</S:Body></S:Envelope>"
)


def wrapped(body: str, header: str = "", more: str = "") -> bytes:
    return ENVELOPE.format(body=body, header=header, more=more).encode()


@pytest.mark.parametrize(("body", "expected"), [
    ('<p:R ID="1">t</p:R>', b'<p:R xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="urn:p" ID="1">t</p:R>'),
    ('<p:R/>', b'<p:R xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="urn:p"/>'),
    ('<p:R xmlns:p="urn:q"><p:R>\u00e4</p:R></p:R>',
     '<p:R xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="urn:q"><p:R>\u00e4</p:R></p:R>'.encode()),
    ('<R xmlns="urn:d"><a></a></R >',
     b'<R xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:p="urn:p" xmlns="urn:d"><a></a></R >'),
])
def test_the_message_is_cut_out_as_it_was_sent(body: str, expected: bytes) -> None:
    assert soap.message(wrapped(body))[0] == expected


def test_the_relay_state_is_read() -> None:
    header = '<e:RelayState xmlns:e="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"> here </e:RelayState>'
    assert soap.message(wrapped("<p:R/>", header))[1] == "here"


BOMB = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>'
FILE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>'


@pytest.mark.parametrize("sent", [
    b"", b"no", b"<a>", BOMB.encode(), FILE.encode(), b"<a/>", wrapped(""), wrapped("<p:R/><p:R/>"),
    wrapped('<p:R ID="1"><p:A ID="1"/></p:R>'), wrapped('<p:R ID="1"/>', '<p:R ID="1"/>'),
    b"\xff\xfe\x00", wrapped("<p:R/>").replace(b"</S:Envelope>", b"<p:R/></S:Envelope>"),
])
def test_what_nobody_honest_sends_is_refused(sent: bytes) -> None:
    with pytest.raises(errors.Unauthorized):
        soap.message(sent)


names = st.text("abcdef", min_size=1, max_size=4)
words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="<>&"), max_size=10)


@given(names, words, st.lists(st.tuples(names, words), max_size=4))
def test_what_is_cut_out_means_the_same(name: str, said: str, inner: list[tuple[str, str]]) -> None:
    body = f"<p:{name}>{said}" + "".join(f"<{each}>{text}</{each}>" for each, text in inner) + f"</p:{name}>"
    cut = ElementTree.fromstring(soap.message(wrapped(body))[0])
    assert cut.tag == "{urn:p}" + name
    assert "".join(cut.itertext()) == said + "".join(text for _, text in inner)
    assert [each.tag for each in cut] == [each for each, _ in inner]
