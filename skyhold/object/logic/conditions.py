# SPDX-License-Identifier: Apache-2.0
"""Conditional requests (RFC 9110, section 13): whether what is there is what the client takes it for.

Headers are read in swift/heads.py. Dates have whole seconds there, so a moment of ours counts as the second it ends in.
"""

from __future__ import annotations

import email.utils
from datetime import UTC
from typing import Final, Literal

import msgspec

Verdict = Literal["go", "same", "failed"]
SECOND_US: Final = 1_000_000


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    match: str | None = None
    none_match: str | None = None
    modified_since: str | None = None
    unmodified_since: str | None = None


def judged(asked: Conditions, etag: str | None, changed_us: int) -> Verdict:
    """`etag` is None where nothing is there. `same` means that the client has it already."""
    if asked.match is not None and not holds(asked.match, etag):
        return "failed"
    if asked.match is None and (limit := moment(asked.unmodified_since)) is not None and seconds(changed_us) > limit:
        return "failed"
    if asked.none_match is not None:
        return "same" if holds(asked.none_match, etag) else "go"
    if (limit := moment(asked.modified_since)) is not None and seconds(changed_us) <= limit:
        return "same"
    return "go"


def holds(header: str, etag: str | None) -> bool:
    if etag is None:
        return False
    named = {each.strip().removeprefix("W/").strip('"') for each in header.split(",")}
    return "*" in named or etag in named


def seconds(moment_us: int) -> int:
    """Rounded up: what changed within a second was not there at its beginning."""
    return -(-moment_us // SECOND_US)


def moment(header: str | None) -> int | None:
    """None for no date; what can't be read as one is none."""
    if header is None:
        return None
    try:
        found = email.utils.parsedate_to_datetime(header)
        # A date that names no zone is one of UTC.
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
