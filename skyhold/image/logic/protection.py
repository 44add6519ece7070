# SPDX-License-Identifier: Apache-2.0
"""Which properties of an image who may create, read, update and delete: the file of rules, read and asked.

Where the file is and whom it is asked for is image/protection.py. The one thing to know first: sections are
tried in the order written and the first whose pattern is found in the property's name decides; a property
that none fits is nobody's.

Follows Glance's property protections, in both of its formats.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

Verb = Literal["create", "read", "update", "delete"]
VERBS: Final[tuple[Verb, ...]] = ("create", "read", "update", "delete")
ANYBODY: Final = "@"
NOBODY: Final = "!"


class Section(msgspec.Struct, frozen=True):
    """`words` are names of roles, or one rule or check of the policy language."""

    pattern: re.Pattern[str]
    words: dict[str, tuple[str, ...]]


def parse(text: str, *, roles: bool) -> list[Section]:
    """Raises ValueError with a sentence for the operator."""
    reader = configparser.RawConfigParser(strict=True)
    try:
        reader.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).replace("\n", " ")) from None
    return [section(name, dict(reader.items(name)), roles=roles) for name in reader.sections()]


def section(name: str, told: dict[str, str], *, roles: bool) -> Section:
    try:
        pattern = re.compile(name)
    except re.error as error:
        raise ValueError(f"[{name}] is no regular expression: {error}") from None
    unknown = sorted(told.keys() - set(VERBS))
    if unknown:
        raise ValueError(f"[{name}] tells of {unknown[0]!r}; it can tell of {', '.join(VERBS)}")
    return Section(pattern, {verb: words(name, verb, told.get(verb, NOBODY), roles=roles) for verb in VERBS})


def words(name: str, verb: str, value: str, *, roles: bool) -> tuple[str, ...]:
    found = tuple(part.strip() for part in value.split(",") if part.strip()) if roles else (value.strip(),)
    if not found or not found[0]:
        raise ValueError(f"[{name}] says nobody's name for {verb}; write {NOBODY} if that is meant")
    if len(found) > 1 and {ANYBODY, NOBODY} & set(found):
        raise ValueError(f"[{name}] {verb}: {ANYBODY} and {NOBODY} stand alone")
    return found


def allowed(sections: list[Section], prop: str, verb: Verb, holds: Callable[[str], bool]) -> bool:
    """`holds` says whether the caller has a role, or whether a rule lets the caller."""
    for each in sections:
        if each.pattern.search(prop):
            return any(word == ANYBODY or (word != NOBODY and holds(word)) for word in each.words[verb])
    return False


def needed(sections: list[Section], prop: str, verb: Verb) -> tuple[str, ...]:
    """Roles, rules or checks, one of which would do; none where nobody may."""
    for each in sections:
        if each.pattern.search(prop):
            return tuple(word for word in each.words[verb] if word != NOBODY)
    return ()
