# SPDX-License-Identifier: Apache-2.0
"""The formats a string may be asked to have, each a plain test.

Which field asks for which is said in the shapes; what the user is told is complaints.py. The one
thing to know first: a name here hides the validator's built-in format of that name, since
OpenStack's forms are wider (times without a zone, for one).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Format = Callable[[str], bool]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


def microseconds(text: str) -> int:
    """An ISO 8601 time as microseconds since 1970 UTC; a time without a zone is UTC. ValueError, also for one in the
    first or last hours of the calendar whose zone puts it outside, for it could never be printed again."""
    moment = datetime.fromisoformat(text)
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{text} is no time of the calendar") from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def integer_text(low: int, high: int) -> str:
    """The name of the format "an integer within these bounds, as text"; known from then on."""
    name = f"integer:{low}:{high}"
    FORMATS.setdefault(name, lambda text: bool(_INTEGER.fullmatch(text)) and low <= int(text) <= high)
    return name


def _parses(parse: Callable[[str], object]) -> Format:
    def test(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, OverflowError, binascii.Error):
            return False
        return True

    return test


def _matches(pattern: str) -> Format:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _is_cidr(text: str) -> bool:
    return "/" in text and _parses(lambda each: ipaddress.ip_network(each, strict=False))(text)


def _is_name(text: str) -> bool:
    return text == text.strip() and text.isprintable()


_DASHED = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

FORMATS: dict[str, Format] = {
    "uuid": _matches(_DASHED),
    "uuid-or-hex": _matches(f"{_DASHED}|[0-9a-fA-F]{{32}}"),
    "hex": _matches("[0-9a-fA-F]{32}"),
    "ip": _parses(ipaddress.ip_address),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _is_cidr,
    "mac": _matches("[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}"),
    "date-time": _parses(microseconds),
    "base64": _parses(lambda text: base64.b64decode(text, validate=True)),
    "name": _is_name,
    "hostname": _matches(r"(?=.{1,253}\.?$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?)+"),
    "url": _matches(r"https?://[^\s/]+(/\S*)?"),
}
"""Besides these the validator knows uri, email, regex, json-pointer and the rest of JSON Schema's."""
