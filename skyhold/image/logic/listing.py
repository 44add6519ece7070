# SPDX-License-Identifier: Apache-2.0
"""What a list of images was asked for, read from the query string.

The query itself is images/store.py. The one thing to know first: whatever is not a known parameter is
a filter for a property of that name, so a misspelt one finds nothing instead of failing.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

import msgspec

from skyhold.core import errors
from skyhold.core.store import Filter
from skyhold.image import states
from skyhold.image.images.shape import HASH_ALGORITHM, INT32_MAX, VISIBILITIES

DEFAULT_LIMIT: Final = 25
MOST: Final = 1000
MOST_CONDITIONS: Final = 200
"""Of one list: each is a part of the statement, and a database takes only so many."""
SECOND_US: Final = 1_000_000
INT64_MAX: Final = 2**63 - 1

Texts = Mapping[str, list[str]]

EXACT: Final = {
    "id": "id", "name": "name", "status": "status", "owner": "project_id", "disk_format": "disk_format",
    "container_format": "container_format", "checksum": "checksum", "os_hash_value": "sha512",
}
SEVERAL: Final = frozenset({"id", "name", "status", "disk_format", "container_format", "owner"})
NUMBERS: Final = {
    "min_ram": "min_ram_mb", "min_disk": "min_disk_gb", "size": "size_bytes", "virtual_size": "virtual_size_bytes",
}
FLAGS: Final = {"protected": "protected", "os_hidden": "hidden"}
TIMES: Final = ("created_at", "updated_at")
SORTED_BY: Final = {
    "name": "name", "status": "status", "container_format": "container_format", "disk_format": "disk_format",
    "size": "size_bytes", "virtual_size": "virtual_size_bytes", "id": "id", "created_at": "created_at",
    "updated_at": "updated_at", "min_ram": "min_ram_mb", "min_disk": "min_disk_gb", "owner": "project_id",
    "visibility": "visibility", "protected": "protected", "os_hidden": "hidden", "checksum": "checksum",
}
MEMBER_STATUS: Final = (*states.MEMBER, "all")
TRUTH: Final = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """`terms` are what images must all carry (`tag_term`, `property_term`), `properties` the names of those
    among them that are properties; `apart` are (column, from, until) spans to stay out of; `visibility` None
    means everything but others' community images."""

    filters: list[Filter]
    terms: list[str]
    properties: list[str]
    apart: list[tuple[str, int, int]]
    visibility: str | None
    member_status: str
    sort: list[tuple[str, str]]
    limit: int
    marker: str | None


def listing(query: Texts) -> Listing:
    """Raises Invalid for a value that a parameter can't have."""
    filters: list[Filter] = []
    terms: list[str] = []
    apart: list[tuple[str, int, int]] = []
    hidden_asked = False
    for name, values in query.items():
        for value in values:
            if name in EXACT:
                filters.append(exact(name, value))
            elif name in FLAGS:
                filters.append((FLAGS[name], "eq", truth(name, value)))
                hidden_asked |= name == "os_hidden"
            elif name in NUMBERS:
                filters.append((NUMBERS[name], "eq", number(name, value)))
            elif name in ("size_min", "size_max"):
                filters.append(("size_bytes", "ge" if name == "size_min" else "le", number(name, value)))
            elif name in TIMES:
                compare_time(name, value, filters, apart)
            elif name == "tag":
                terms.append(tag_term(tag(value)))
            elif name == "os_hash_algo":
                filters.append(("sha512", "notnull" if value == HASH_ALGORITHM else "eq", ""))
            elif is_property(name):
                terms.append(property_term(name, value))
    if len(filters) + len(terms) + len(apart) > MOST_CONDITIONS:
        raise errors.Invalid(f"A list is searched by at most {MOST_CONDITIONS} conditions.")
    if not hidden_asked:
        filters.append(("hidden", "eq", False))
    return Listing(
        filters=filters, terms=terms, properties=[name for name in query if is_property(name)], apart=apart,
        visibility=visibility(query), sort=sort(query),
        member_status=one_of(query, "member_status", MEMBER_STATUS) or states.ACCEPTED,
        limit=limit(query), marker=last(query, "marker"),
    )


OTHERS: Final = frozenset({
    "visibility", "member_status", "limit", "marker", "sort", "sort_key", "sort_dir", "size_min", "size_max", "tag",
    "os_hash_algo",
})


def is_property(name: str) -> bool:
    return not any(name in known for known in (EXACT, FLAGS, NUMBERS, TIMES, OTHERS))


def link(query: Texts, marker: str | None) -> str:
    """This list's address, from its start or after `marker`; relative, as upstream prints it."""
    pairs = [(name, value) for name, values in query.items() if name != "marker" for value in values]
    if marker:
        pairs.append(("marker", marker))
    return "/v2/images" + ("?" + urlencode(pairs) if pairs else "")


def tag_term(value: str) -> str:
    return hashlib.sha256(b"tag\0" + value.encode()).hexdigest()


def property_term(name: str, value: str) -> str:
    return hashlib.sha256(f"property\0{name}\0{value}".encode()).hexdigest()


def terms_of(tags: list[str], properties: dict[str, str]) -> set[str]:
    return {tag_term(tag) for tag in tags} | {property_term(*pair) for pair in properties.items()}


# ---- single parameters -----------------------------------------------------------------------


def exact(name: str, value: str) -> Filter:
    several = split_in(name, value) if value.startswith("in:") and name in SEVERAL else [value]
    if name == "status":
        for each in several:
            if each not in states.KNOWN:
                raise errors.Invalid(f"Invalid value for status filter: {each[:80]}.")
    return (EXACT[name], "eq", several[0]) if len(several) == 1 else (EXACT[name], "in", several)


def split_in(name: str, value: str) -> list[str]:
    """`in:a,"b, c"`: a comma inside quotes belongs to the value."""
    text = value.removeprefix("in:")
    if text.count('"') % 2:
        raise errors.Invalid(f"Invalid filter value {text[:80]} for {name}: the quote is not closed.")
    found: list[str] = next(csv.reader([text], skipinitialspace=False), [])
    if not found or not all(found) or len(found) > MOST:
        raise errors.Invalid(f"Invalid filter value {text[:80]} for {name}: name one to {MOST} values.")
    return found


def compare_time(name: str, value: str, filters: list[Filter], apart: list[tuple[str, int, int]]) -> None:
    """Times are kept finer than they are printed; one is equal to all moments of its second."""
    op, colon, text = value.partition(":")
    if not colon or op not in ("gt", "gte", "lt", "lte", "eq", "neq"):
        op, text = "eq", value
    at_us = moment(name, text)
    if op in ("gte", "eq"):
        filters.append((name, "ge", at_us))
    if op == "gt":
        filters.append((name, "ge", at_us + SECOND_US))
    if op == "lt":
        filters.append((name, "lt", at_us))
    if op in ("lte", "eq"):
        filters.append((name, "lt", at_us + SECOND_US))
    if op == "neq":
        apart.append((name, at_us, at_us + SECOND_US))


def moment(name: str, text: str) -> int:
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise errors.Invalid(
            f"Invalid filter value {text[:80]} for {name}: an ISO 8601 time is needed, with gt:, gte:, lt:, "
            "lte:, eq: or neq: before it if not equality is meant."
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp()) * SECOND_US


def number(name: str, value: str) -> int:
    found = whole(value, INT64_MAX)
    if found is None:
        raise errors.Invalid(f"Invalid filter value {value[:80]} for {name}: a whole number is needed.")
    return found


def whole(value: str, most: int) -> int | None:
    """None for what isn't a whole number from 0 to `most`. Python reads no number of thousands of digits, were they
    zeros."""
    digits = value.lstrip("0")
    if not value.isascii() or not value.isdigit() or len(digits) > len(str(most)):
        return None
    found = int(digits or "0")
    return found if found <= most else None


def truth(name: str, value: str) -> bool:
    found = TRUTH.get(value.lower())
    if found is None:
        raise errors.Invalid(f"Invalid filter value {value[:80]} for {name}: true or false is needed.")
    return found


def tag(value: str) -> str:
    if len(value) > 255:
        raise errors.Invalid("A tag has at most 255 characters.")
    return value


def visibility(query: Texts) -> str | None:
    return one_of(query, "visibility", (*VISIBILITIES, "all"))


def one_of(query: Texts, name: str, allowed: tuple[str, ...]) -> str | None:
    value = last(query, name)
    if value is not None and value not in allowed:
        raise errors.Invalid(f"Invalid {name} value: {value[:80]}. It must be one of {', '.join(allowed)}.")
    return value


def limit(query: Texts) -> int:
    value = last(query, "limit")
    if value is None:
        return DEFAULT_LIMIT
    found = whole(value, INT32_MAX)
    if found is None:
        raise errors.Invalid("limit param must be a whole number, zero or greater.")
    return min(found, MOST)


def last(query: Texts, name: str) -> str | None:
    values = query.get(name)
    return values[-1] if values else None


def sort(query: Texts) -> list[tuple[str, str]]:
    """Newest first unless asked otherwise; a key without a direction is descending."""
    new, keys, directions = last(query, "sort"), query.get("sort_key", []), query.get("sort_dir", [])
    if new is not None and (keys or directions):
        raise errors.Invalid("Old and new sorting syntax cannot be combined.")
    if new is not None:
        pairs = [(part.partition(":")[0].strip(), part.partition(":")[2].strip() or "desc") for part in new.split(",")]
    else:
        pairs = old_sort(list(keys), list(directions))
    found = checked(pairs)
    return [*found.items(), *((key, "desc") for key in ("created_at", "id") if key not in found)]


def old_sort(keys: list[str], directions: list[str]) -> list[tuple[str, str]]:
    keys = keys or ["created_at"]
    if len(directions) > 1 and len(directions) != len(keys):
        raise errors.Invalid("Number of sort dirs does not match the number of sort keys.")
    if len(directions) != len(keys):
        directions = (directions or ["desc"]) * len(keys)
    return list(zip(keys, directions, strict=True))


def checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, direction in pairs:
        if key not in SORTED_BY:
            raise errors.Invalid(f"Unsupported sort_key: {key[:80]}. Use one of {', '.join(sorted(SORTED_BY))}.")
        if direction not in ("asc", "desc"):
            raise errors.Invalid(f"Invalid sort direction: {direction[:80]}. It must be asc or desc.")
        found.setdefault(SORTED_BY[key], direction)
    return found

