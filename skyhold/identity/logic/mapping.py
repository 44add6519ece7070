# SPDX-License-Identifier: Apache-2.0
"""The mapping engine: from what an identity provider says of somebody to a user, groups and projects here.

Where mappings are kept is federation/mappings.py, what becomes of the outcome federation/arrivals.py. A mapping
is checked as a whole when it is stored, so that signing in can only fail for what the assertion lacks. Source:
Keystone's page on mapping combinations and its specifications of the schema versions 2.0 and 3.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from skyhold.core import errors
from skyhold.identity.logic import patterns

T = TypeVar("T")

VERSIONS = ("1.0", "2.0", "3.0")
MOST_RULES = 1000
MOST_PROJECTS = 200
MOST_VALUES = 1000
"""Of one attribute: beyond it an assertion is not about a person."""

Assertion = Mapping[str, Sequence[str]]
Value = str | tuple[str, ...]
"""What a remote attribute gives to `{n}`: one value, or several."""

CONDITIONS = ("any_one_of", "not_any_of", "whitelist", "blacklist")
PLACE = re.compile(r"\{([0-9]{1,4})\}")


@dataclass(frozen=True, slots=True)
class Domain:
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """`local` is one that exists here already; else the user is made when first seen."""

    id: str | None
    name: str | None
    email: str | None
    domain: Domain | None
    local: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group by its name; `domain` None is the identity provider's own."""

    name: str
    domain: Domain | None


@dataclass(frozen=True, slots=True)
class Project:
    name: str
    roles: tuple[str, ...]
    domain: Domain | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`user` is None when no rule that fits says who it is; `follows` that projects not named are taken away."""

    user: User | None = None
    group_ids: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    projects: tuple[Project, ...] = ()
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Remote:
    """One condition of a rule; `how` is empty when the attribute need only be there."""

    type: str
    how: str
    values: tuple[str, ...]
    regex: bool

    @property
    def maps(self) -> bool:
        """Whether its values can be used as `{n}`: those of yes-or-no conditions can't."""
        return self.how not in ("any_one_of", "not_any_of")


@dataclass(frozen=True, slots=True)
class Rule:
    remote: tuple[Remote, ...]
    local: Mapping[str, Any]
    """The rule's local objects as one: the first of each name counts, groups are all kept in `all_groups`."""


@dataclass(frozen=True, slots=True)
class Rules:
    version: str
    rules: tuple[Rule, ...]

    def apply(self, assertion: Assertion) -> Outcome:
        """All rules that fit count; of several users the first. Raises Invalid for projects that an identity
        provider spells wrongly (3.0)."""
        parts = [
            part_of(rule.local, found, self.version)
            for rule in self.rules if (found := captured(rule, assertion)) is not None
        ]
        return Outcome(
            user=next((part.user for part in parts if part.user is not None), None),
            group_ids=once(each for part in parts for each in part.group_ids),
            groups=once(each for part in parts for each in part.groups),
            projects=once(each for part in parts for each in part.projects),
            follows=any(part.follows for part in parts),
        )


# ---- does a rule fit? ------------------------------------------------------------------------


def captured(rule: Rule, assertion: Assertion) -> list[Value] | None:
    """What `{0}`, `{1}`… stand for, or None when a condition isn't met."""
    values: list[Value] = []
    for remote in rule.remote:
        given = tuple(assertion.get(remote.type, ()))[:MOST_VALUES]
        if not given:
            return None
        hits = matching(remote, given)
        if (remote.how == "any_one_of" and not hits) or (remote.how == "not_any_of" and hits):
            return None
        if remote.maps:
            kept = left(remote, given, hits)
            values.append(kept[0] if len(kept) == 1 else kept)
    return values


def matching(remote: Remote, given: tuple[str, ...]) -> tuple[str, ...]:
    if not remote.regex:
        return tuple(value for value in given if value in remote.values)
    return tuple(
        value for value in given if any(patterns.found(pattern, value) for pattern in remote.values)
    )


def left(remote: Remote, given: tuple[str, ...], hits: tuple[str, ...]) -> tuple[str, ...]:
    if remote.how == "whitelist":
        return hits
    return tuple(value for value in given if value not in hits) if remote.how == "blacklist" else given


# ---- what does it say? -----------------------------------------------------------------------


def part_of(local: Mapping[str, Any], found: list[Value], version: str) -> Outcome:
    root = domain_of(local.get("domain"), found) if version != "1.0" else None
    projects = local.get("projects")
    return Outcome(
        user=user_of(local["user"], found, root, version) if "user" in local else None,
        group_ids=once(group_ids_of(local, found)),
        groups=once(groups_of(local, found, root)),
        projects=once(projects_of(projects, found, root)) if projects is not None else (),
        follows=version == "3.0" and projects is not None,
    )


def user_of(user: Mapping[str, Any], found: list[Value], root: Domain | None, version: str) -> User:
    """In 1.0 only a local user has a domain of its own choice; others are in the identity provider's."""
    local = user.get("type") == "local"
    domain = domain_of(user.get("domain"), found) if local or version != "1.0" else None
    given = {name: text(user[name], found) for name in ("id", "name", "email") if user.get(name)}
    return User(
        given.get("id"), given.get("name"), given.get("email"), domain or root, local,
    )


def group_ids_of(local: Mapping[str, Any], found: list[Value]) -> Iterator[str]:
    for group in local["all_groups"]:
        if "id" in group:
            yield from several(group["id"], found)
    if "group_ids" in local:
        yield from several(local["group_ids"], found)


def groups_of(local: Mapping[str, Any], found: list[Value], root: Domain | None) -> Iterator[Group]:
    for group in local["all_groups"]:
        if "name" in group:
            domain = domain_of(group.get("domain"), found) or root
            yield from (Group(name, domain) for name in several(group["name"], found))
    if "groups" in local:
        domain = domain_of(local.get("domain"), found)
        yield from (Group(name, domain) for name in several(local["groups"], found))


def projects_of(projects: Any, found: list[Value], root: Domain | None) -> Iterator[Project]:
    for project in spelled_out(text(projects, found)) if isinstance(projects, str) else projects:
        values = [] if isinstance(projects, str) else found
        yield Project(
            text(project["name"], values), once(text(role["name"], values) for role in project["roles"]),
            domain_of(project.get("domain"), values) or root,
        )


def spelled_out(given: str) -> list[Any]:
    """Projects as an identity provider spells them in JSON; no place in it is filled in once more."""
    try:
        projects = json.loads(given)
    except (ValueError, RecursionError):
        raise errors.Invalid("The identity provider's projects are no JSON.", reason="bad_assertion") from None
    check_projects(projects, "projects", "3.0")
    return list(projects)


def domain_of(domain: Mapping[str, Any] | None, found: list[Value]) -> Domain | None:
    if not domain:
        return None
    return Domain(*(text(domain[name], found) if name in domain else None for name in ("id", "name")))


def text(template: str, found: list[Value]) -> str:
    """With its places filled in, once: what a value says is never read as a place."""
    def fill(place: re.Match[str]) -> str:
        number = int(place[1])
        value = found[number] if number < len(found) else place[0]
        return value if isinstance(value, str) else ";".join(value)

    return PLACE.sub(fill, template)


def several(template: str, found: list[Value]) -> tuple[str, ...]:
    """Each value of an attribute that stands alone; else the one text, or the strings of a JSON list."""
    alone = PLACE.fullmatch(template)
    value = found[int(alone[1])] if alone and int(alone[1]) < len(found) else text(template, found)
    if isinstance(value, tuple):
        return value
    return listed(value) if value.startswith("[") else (value,) if value else ()


def listed(value: str) -> tuple[str, ...]:
    try:
        items = json.loads(value)
    except (ValueError, RecursionError):
        return (value,)
    plain = isinstance(items, list) and all(isinstance(item, str) for item in items)
    return tuple(items) if plain else (value,)


def once(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


# ---- reading a mapping -----------------------------------------------------------------------


def parse(rules: Any, version: str = "1.0") -> Rules:
    """Raises Invalid, saying which rule and what would do."""
    if version not in VERSIONS:
        raise wrong("schema_version", f"is one of {', '.join(VERSIONS)}")
    if not isinstance(rules, list) or not 1 <= len(rules) <= MOST_RULES:
        raise wrong("rules", f"is a list of 1 to {MOST_RULES} rules")
    return Rules(version, tuple(rule_of(rule, f"rules[{i}]", version) for i, rule in enumerate(rules)))


def rule_of(rule: Any, at: str, version: str) -> Rule:
    known(rule, at, ("local", "remote"), needs=("local", "remote"))
    remote = tuple(remote_of(each, f"{at}.remote[{i}]") for i, each in enumerate(items(rule["remote"], f"{at}.remote")))
    if not remote:
        raise wrong(f"{at}.remote", "has at least one condition")
    local: dict[str, Any] = {"all_groups": []}
    for i, each in enumerate(items(rule["local"], f"{at}.local")):
        check_local(each, f"{at}.local[{i}]", version)
        if "group" in each:
            local["all_groups"].append(each["group"])
        local |= {name: value for name, value in each.items() if name not in local}
    check_groups(local, at, version)
    check_places(local, at, sum(each.maps for each in remote))
    return Rule(remote, local)


def remote_of(remote: Any, at: str) -> Remote:
    known(remote, at, ("type", "regex", *CONDITIONS), needs=("type",))
    string(remote["type"], f"{at}.type")
    chosen = [name for name in CONDITIONS if name in remote]
    if len(chosen) > 1:
        raise wrong(at, f"has both {chosen[0]} and {chosen[1]}: one condition has one of them")
    regex = remote.get("regex", False)
    if not isinstance(regex, bool) or (regex and not chosen):
        raise wrong(f"{at}.regex", "is true or false, beside a list of expressions")
    how = chosen[0] if chosen else ""
    values = tuple(string(each, f"{at}.{how}") for each in items(remote[how], f"{at}.{how}")) if how else ()
    for pattern in values if regex else ():
        patterns.check(pattern)
    return Remote(remote["type"], how, values, regex)


LOCAL = ("user", "group", "groups", "group_ids", "projects", "domain")


def check_local(local: Any, at: str, version: str) -> None:
    known(local, at, LOCAL)
    if "user" in local:
        check_user(local["user"], f"{at}.user")
    if "group" in local:
        check_group(local["group"], f"{at}.group", version)
    for name in ("groups", "group_ids"):
        if name in local:
            string(local[name], f"{at}.{name}")
    if "domain" in local:
        check_domain(local["domain"], f"{at}.domain")
    if "projects" in local:
        check_projects(local["projects"], f"{at}.projects", version)


def check_user(user: Any, at: str) -> None:
    known(user, at, ("id", "name", "email", "domain", "type"))
    for name in ("id", "name", "email"):
        if name in user:
            string(user[name], f"{at}.{name}")
    if user.get("type", "ephemeral") not in ("ephemeral", "local"):
        raise wrong(f"{at}.type", "is ephemeral or local")
    if "domain" in user:
        check_domain(user["domain"], f"{at}.domain")
    elif user.get("type") == "local" and "id" not in user:
        raise wrong(at, "is a local user by name, and needs the domain it is in")


def check_group(group: Any, at: str, version: str) -> None:
    known(group, at, ("id", "name", "domain"))
    if ("id" in group) == ("name" in group) or ("id" in group and "domain" in group):
        raise wrong(at, "has either an id, or a name and a domain")
    string(group.get("id", group.get("name")), at)
    if "domain" in group:
        check_domain(group["domain"], f"{at}.domain")
    elif "name" in group and version == "1.0":
        raise wrong(at, "names a group, and needs the domain it is in")


def check_groups(local: Mapping[str, Any], at: str, version: str) -> None:
    if "groups" in local and "domain" not in local and version == "1.0":
        raise wrong(f"{at}.local", "has groups, and needs the domain that they are in")


def check_projects(projects: Any, at: str, version: str) -> None:
    if isinstance(projects, str) and version == "3.0" and at != "projects":
        return
    for i, project in enumerate(items(projects, at)[: MOST_PROJECTS + 1]):
        here = f"{at}[{i}]"
        known(project, here, ("name", "roles") if version == "1.0" else ("name", "roles", "domain"),
              needs=("name", "roles"))
        string(project["name"], f"{here}.name")
        for role in items(project["roles"], f"{here}.roles"):
            known(role, f"{here}.roles", ("name",), needs=("name",))
            string(role["name"], f"{here}.roles")
        if "domain" in project:
            check_domain(project["domain"], f"{here}.domain")
    if len(projects) > MOST_PROJECTS:
        raise wrong(at, f"has more than {MOST_PROJECTS} projects")


def check_domain(domain: Any, at: str) -> None:
    known(domain, at, ("id", "name"))
    if not domain:
        raise wrong(at, "has an id or a name")
    for name, value in domain.items():
        string(value, f"{at}.{name}")


def check_places(value: Any, at: str, count: int) -> None:
    """A place that no condition fills would fail every one who signs in."""
    if isinstance(value, str):
        for place in PLACE.findall(value):
            if int(place) >= count:
                raise wrong(at, f"uses {{{place}}}, but only {count} of its conditions give a value")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for each in inner:
        check_places(each, at, count)


def known(value: Any, at: str, names: Sequence[str], needs: Sequence[str] = ()) -> None:
    if not isinstance(value, dict):
        raise wrong(at, "is an object")
    strange = [name for name in value if name not in names]
    if strange:
        raise wrong(at, f"has {str(strange[0])[:60]!r}; it may have {', '.join(names)}")
    missing = [name for name in needs if name not in value]
    if missing:
        raise wrong(at, f"needs {missing[0]}")


def items(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong(at, "is a list")
    return value


def string(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise wrong(at, "is a string")
    return value


def wrong(at: str, what: str) -> errors.Invalid:
    return errors.Invalid(f"Invalid mapping: {at} {what}.", reason="bad_mapping")
