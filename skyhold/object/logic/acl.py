# SPDX-License-Identifier: Apache-2.0
"""Access lists of containers: how they are written, and whom they admit.

Who is asked first is engine/access.py: a list only adds to what the policy allows. The one thing to know first: an
entry with a colon is a project and a user, one without is a role in the container's own project, and `.r:` names
websites that may point at the objects (the grammar of Swift's container ACLs).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import msgspec

from skyhold.core import errors

REFERRERS: Final = (".r", ".ref", ".referer", ".referrer")
LISTINGS: Final = ".rlistings"
LONGEST: Final = 8192
NOBODY_KNOWN: Final = "unknown"
"""The host of a request that doesn't say where it comes from."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever asks, as far as lists go; `names` are user and project by name, where names may be meant."""

    user_id: str = ""
    project_id: str = ""
    roles: Collection[str] = ()
    user_name: str = ""
    project_name: str = ""
    referrer: str = ""
    names: bool = False
    at_home: bool = False
    """In the container's own project."""


def normal(text: str, *, write: bool) -> str:
    """The list in its normal form. Raises Invalid."""
    if len(text) > LONGEST:
        raise errors.Invalid(f"An access list may be {LONGEST} characters long.", reason="bad_acl")
    entries = (entry.strip() for entry in text.split(","))
    return ",".join(entry_of(entry, write) for entry in entries if entry)


def entry_of(entry: str, write: bool) -> str:
    first, colon, rest = (part.strip() for part in entry.partition(":"))
    if not colon or not first.startswith("."):
        return entry
    if first not in REFERRERS:
        raise errors.Invalid(f"Unknown designator {first[:80]!r} in the access list.", reason="bad_acl")
    if write:
        raise errors.Invalid(f"Referrers are not allowed in a write list: {entry[:80]!r}.", reason="bad_acl")
    minus, host = ("-", rest[1:].strip()) if rest.startswith("-") else ("", rest)
    if host != "*" and host.startswith("*"):
        host = host[1:].strip()
    if host in ("", "."):
        raise errors.Invalid(f"No host or domain after the referrer in {entry[:80]!r}.", reason="bad_acl")
    return f".r:{minus}{host}"


def admits(text: str, caller: Caller, *, listing: bool) -> bool:
    """Whether a list in normal form lets the caller in; `listing` asks for what the container holds."""
    if not text:
        return False
    entries = text.split(",")
    if caller.user_id and (named(entries, caller) or (caller.at_home and has_role(entries, caller))):
        return True
    return refers(entries, caller.referrer) and (not listing or LISTINGS in entries)


def named(entries: Collection[str], caller: Caller) -> bool:
    projects, users = {"*", caller.project_id}, {"*", caller.user_id}
    if caller.names:
        projects.add(caller.project_name)
        users.add(caller.user_name)
    return any(
        project in projects and user in users
        for project, colon, user in (entry.partition(":") for entry in entries) if colon and project[:1] != "."
    )


def speaks_of_names(text: str, caller: Caller) -> bool:
    """Whether it matters if names may be meant: they are looked up only then."""
    return any(name and name in text for name in (caller.user_name, caller.project_name))


def has_role(entries: Collection[str], caller: Caller) -> bool:
    held = {role.lower() for role in caller.roles}
    return any(entry.lower() in held for entry in entries if ":" not in entry)


def refers(entries: Collection[str], referrer: str) -> bool:
    """The last entry that fits decides."""
    host, allowed = host_of(referrer), False
    for entry in entries:
        if not entry.startswith(".r:"):
            continue
        wanted = entry[3:]
        if wanted == "*":
            allowed = True
        elif fits(wanted.removeprefix("-"), host):
            allowed = not wanted.startswith("-")
    return allowed


def fits(wanted: str, host: str) -> bool:
    return wanted == host or (wanted.startswith(".") and host.endswith(wanted))


def host_of(referrer: str) -> str:
    try:
        return urlsplit(referrer).hostname or NOBODY_KNOWN
    except ValueError:
        return NOBODY_KNOWN
