# SPDX-License-Identifier: Apache-2.0
"""Protected properties: whether this caller may see, set, change or remove a property of an image.

The rules' language is logic/protection.py. They stand in the state directory in one of two files, named as
Glance's samples are: property-protections-roles.conf lists roles, property-protections-policies.conf names
policy rules, or says checks. The one thing to know first: without either file nothing is protected, and
nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context, Credentials
from skyhold.core.policy.language import PolicyError
from skyhold.core.policy.rules import Policy, Rule
from skyhold.image.logic import protection
from skyhold.image.logic.protection import ANYBODY, NOBODY, Section, Verb

if TYPE_CHECKING:
    from skyhold.core.app import Core

ROLES: Final = "property-protections-roles.conf"
POLICIES: Final = "property-protections-policies.conf"
SHELF: Final = "image.protection"


class Protection(msgspec.Struct, frozen=True):
    """`policy` is None where the file lists roles."""

    sections: list[Section]
    policy: Policy | None

    def allows(self, creds: Credentials, owner: str | None, prop: str, verb: Verb) -> bool:
        return creds.internal or protection.allowed(self.sections, prop, verb, self._asks(creds, owner))

    def refusal(self, creds: Credentials, prop: str, verb: Verb) -> errors.Forbidden:
        """What it takes, by the operator's file, and what the caller has."""
        words = protection.needed(self.sections, prop, verb)
        kind = "role" if self.policy is None else "rule"
        which = " or ".join(word.removeprefix("rule:") for word in words)
        needs = f"to {verb} it needs {kind} {which}" if words else f"nobody may {verb} it"
        roles = ", ".join(sorted(creds.roles)) or "none"
        return errors.Forbidden(
            f"Property {prop} is protected: {needs}; your roles are {roles}.", reason="property_protected"
        )

    def _asks(self, creds: Credentials, owner: str | None) -> Callable[[str], bool]:
        if self.policy is None:
            return creds.roles.__contains__
        policy = self.policy
        return lambda word: policy.allows(rule_name(policy, word), creds, {"project_id": owner, "owner": owner})


async def at_start(core: Core) -> None:
    """A file that can't be understood stops the program: nothing must be open by mistake."""
    core.shelf[SHELF] = found(core)


def of(core: Core) -> Protection | None:
    """None where nothing is protected."""
    kept: Protection | None = core.shelf.get(SHELF)
    return kept


def found(core: Core) -> Protection | None:
    home = core.settings.home
    there = [home / name for name in (ROLES, POLICIES) if (home / name).is_file()]
    if len(there) > 1:
        raise ValueError(f"There are both {there[0]} and {there[1]}; remove one of them.")
    return read(core, there[0]) if there else None


def read(core: Core, path: Path) -> Protection:
    try:
        sections = protection.parse(path.read_text(), roles=path.name == ROLES)
        return Protection(sections, None if path.name == ROLES else with_checks(core, sections))
    except (ValueError, PolicyError) as error:
        raise ValueError(f"{path} can't be used: {error}.") from None


def with_checks(core: Core, sections: list[Section]) -> Policy:
    """The cloud's policy, and a rule for each word of the file that names none."""
    own = Policy()
    own.register(*core.policy.rules())
    told = {word for each in sections for some in each.words.values() for word in some} - {ANYBODY, NOBODY}
    own.register(*(Rule(rule_name(own, word), word) for word in sorted(told) if word not in own))
    own.compile()
    return own


def rule_name(policy: Policy, word: str) -> str:
    return word if word in policy else f"property_protection {word}"


# ---- what images ask -------------------------------------------------------------------------


def shown_to(ctx: Context, rows: list[Any]) -> list[Any]:
    """The rows without the properties that the caller may not read."""
    rules = of(ctx.core)
    if rules is None:
        return rows
    return [row._replace(properties=readable(rules, ctx, row)) for row in rows]


def readable(rules: Protection, ctx: Context, row: Any) -> dict[str, str]:
    return {
        name: value for name, value in row.properties.items()
        if rules.allows(ctx.creds, row.project_id, name, "read")
    }


def may_search(ctx: Context, owner: str | None, names: list[str]) -> bool:
    rules = of(ctx.core) if names else None
    return rules is None or all(rules.allows(ctx.creds, owner, name, "read") for name in names)


def check_new(ctx: Context, owner: str | None, names: Any) -> None:
    """Raises Forbidden for a property that the caller may not create."""
    rules = of(ctx.core)
    if rules is None:
        return
    for name in names:
        if not rules.allows(ctx.creds, owner, name, "create"):
            raise rules.refusal(ctx.creds, name, "create")


def check_change(ctx: Context, row: Any, name: str, verb: Verb) -> None:
    """Raises Conflict for a property that is there but unseen, as if it weren't; Forbidden for one that
    the caller may see but not change so."""
    rules = of(ctx.core)
    if rules is None:
        return
    if verb != "create" and not rules.allows(ctx.creds, row.project_id, name, "read"):
        raise errors.Conflict(f"Property {name} does not exist.")
    if not rules.allows(ctx.creds, row.project_id, name, verb):
        raise rules.refusal(ctx.creds, name, verb)
