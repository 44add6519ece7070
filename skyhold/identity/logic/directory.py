# SPDX-License-Identifier: Apache-2.0
"""How entries of an LDAP directory become people and groups: filters, attributes, who is enabled.

Speaking to the directory is drivers/ldap.py, the options are logic/domain_options.py. All that an entry says
is text, and `FALSE` is a text like any other: it is compared, never asked whether it is empty.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from skyhold.identity.drivers.base import Person, Team
from skyhold.identity.logic.domain_options import OPTIONS, truth, understood

LONGEST = 255
SCOPES = ("one", "sub")
CERTIFICATES = ("demand", "allow", "never")
IGNORABLE = {"mail": "email", "description": "description", "default_project_id": "default_project_id"}

Entry = tuple[str, Mapping[str, list[bytes]]]
"""(distinguished name, attribute in lower case to values)"""


class Plan(NamedTuple):
    """The ldap group of a domain's configuration, understood."""

    options: Mapping[str, Any]
    servers: tuple[tuple[str, int, bool], ...]
    """(host, port, with TLS from the start)"""

    @property
    def user_base(self) -> str:
        return self.options["user_tree_dn"] or f"ou=Users,{self.options['suffix']}"

    @property
    def group_base(self) -> str:
        return self.options["group_tree_dn"] or f"ou=UserGroups,{self.options['suffix']}"


def understand(given: Mapping[str, Any]) -> Plan:
    """Raises ValueError, in words for the operator, for what can't be used."""
    options = {}
    for name, option in OPTIONS["ldap"].items():
        try:
            options[name] = understood(option, given.get(name))
        except ValueError as error:
            raise ValueError(f"ldap.{name} {error}") from None
    if options["query_scope"] not in SCOPES:
        raise ValueError(f"ldap.query_scope is one of {', '.join(SCOPES)}")
    if options["tls_req_cert"] not in CERTIFICATES:
        raise ValueError(f"ldap.tls_req_cert is one of {', '.join(CERTIFICATES)}")
    return Plan(options, tuple(server(url.strip()) for url in options["url"].split(",")))


def server(url: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname:
        raise ValueError("ldap.url is one or more addresses like ldap://host or ldaps://host:636")
    secure = parts.scheme == "ldaps"
    return parts.hostname, port or (636 if secure else 389), secure


# ---- filters -------------------------------------------------------------------------------

SPECIAL = {"\\": r"\5c", "*": r"\2a", "(": r"\28", ")": r"\29", "\0": r"\00"}


def escaped(value: str) -> str:
    """A text that stands in a filter for itself alone (RFC 4515, section 3)."""
    return "".join(SPECIAL.get(letter, letter) for letter in value)


def entries(objectclass: str, further: str | None, **equal: str) -> str:
    """All entries of a class that pass the operator's own filter, with these attributes."""
    parts = [f"(objectClass={escaped(objectclass)})"]
    if further:
        parts.append(further if further.startswith("(") else f"({further})")
    parts += [f"({name}={escaped(value)})" for name, value in equal.items()]
    return f"(&{''.join(parts)})"


# ---- entries -------------------------------------------------------------------------------


def first(entry: Entry, attribute: str | None) -> str | None:
    """The first value as text; one that is no text (a GUID) as hexadecimal digits."""
    values = entry[1].get(attribute.lower()) if attribute else None
    return text(values[0]) if values else None


def text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def person(plan: Plan, entry: Entry, enabled_addresses: frozenset[str] | None = None) -> Person | None:
    """None for an entry without an id or a name, or with one that is too long. `enabled_addresses`
    are those of whoever is enabled, where a group says so."""
    options = plan.options
    local_id, name = first(entry, options["user_id_attribute"]), first(entry, options["user_name_attribute"])
    if not fine(local_id) or not fine(name):
        return None
    assert local_id is not None and name is not None
    extra = {
        "email": first(entry, options["user_mail_attribute"]),
        "description": first(entry, options["user_description_attribute"]),
        **mapped(entry, options["user_additional_attribute_mapping"]),
    }
    ignored = {IGNORABLE.get(each, each) for each in options["user_attribute_ignore"]}
    project = None if "default_project_id" in ignored else first(entry, options["user_default_project_id_attribute"])
    enabled = (
        address(entry[0]) in enabled_addresses if enabled_addresses is not None
        else is_enabled(options, first(entry, options["user_enabled_attribute"]))
    )
    return Person(
        local_id, name, entry[0], "enabled" in ignored or enabled, project if fine(project) else None,
        {key: value for key, value in extra.items() if value is not None and key not in ignored},
    )


def fine(value: str | None) -> bool:
    return bool(value and value.strip()) and len(value or "") <= LONGEST and "\0" not in (value or "")


def is_enabled(options: Mapping[str, Any], value: str | None) -> bool:
    """Whoever an unreadable value is about is disabled: what is not clearly a yes is none."""
    value = options["user_enabled_default"] if value is None else value
    mask = int(options["user_enabled_mask"])
    try:
        if mask:
            return int(value) & mask != mask
        return truth(value) is not options["user_enabled_invert"]
    except ValueError:
        return False


def team(plan: Plan, entry: Entry, people: Mapping[str, str]) -> Team | None:
    """`people` are the local ids by address (by id where members are ids); strangers are left out."""
    options = plan.options
    local_id, name = first(entry, options["group_id_attribute"]), first(entry, options["group_name_attribute"])
    if not fine(local_id) or not fine(name):
        return None
    assert local_id is not None and name is not None
    members = (text(value) for value in entry[1].get(options["group_member_attribute"].lower(), ()))
    keys = members if options["group_members_are_ids"] else map(address, members)
    ignored = options["group_attribute_ignore"]
    extra = mapped(entry, options["group_additional_attribute_mapping"])
    return Team(
        local_id, name,
        "" if "description" in ignored else first(entry, options["group_desc_attribute"]) or "",
        {key: value for key, value in extra.items() if key not in ignored},
        frozenset(people[key] for key in keys if key in people),
    )


def mapped(entry: Entry, pairs: Iterable[str]) -> dict[str, str]:
    """`ldap_attribute:user_attribute` pairs; what would stand for one of our own attributes does not."""
    found = {}
    for pair in pairs:
        theirs, _, ours = pair.partition(":")
        value = first(entry, theirs.strip())
        if value is not None and ours.strip() and ours.strip() not in OURS:
            found[ours.strip()] = value
    return found


SEPARATOR = re.compile(r"(?:[^,\\]|\\.)+", re.DOTALL)
"""What stands between two commas that aren't escaped."""

OURS = frozenset({
    "id", "name", "domain_id", "enabled", "options", "links", "password", "password_expires_at", "federated",
    "default_project_id", "created_at",
})


def address(dn: str) -> str:
    """A distinguished name so that equal ones are equal texts: case and blanks around parts don't count
    (RFC 4514). An escaped comma is part of a name, and so is a blank after it."""
    parts = ("=".join(side.strip() for side in part.split("=", 1)) for part in SEPARATOR.findall(dn))
    return ",".join(parts).casefold()


def public_id(domain_id: str, kind: str, local_id: str) -> str:
    """Always the same for an entry, whatever happens to our tables. Directories ignore case, and so does this."""
    told = "\0".join((domain_id, kind, local_id.casefold()))
    return hashlib.sha256(told.encode()).hexdigest()[:32]
