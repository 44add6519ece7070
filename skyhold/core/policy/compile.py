# SPDX-License-Identifier: Apache-2.0
"""From a tree of checks to one function that decides about one caller and one target.

Reading the texts is language.py; deciding for whole lists is predicate.py. The one thing to know
first: the function is generated as one Python expression, because a chain of nested closures
costs several times more and every request pays it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from skyhold.core.policy.language import (
    All,
    Always,
    AnyOf,
    Attribute,
    Check,
    Literal,
    Never,
    Not,
    PolicyError,
    Role,
    RuleRef,
    Template,
)


class Creds(Protocol):
    """What a rule may ask about the caller; `roles` already holds the implied roles.

    `scope` is "system", "domain", "project" or "unscoped". Other attributes (service_roles, …)
    may exist and can be named in rules; one that is missing or None matches nothing.
    """

    @property
    def user_id(self) -> str | None: ...
    @property
    def user_domain_id(self) -> str | None: ...
    @property
    def project_id(self) -> str | None: ...
    @property
    def project_domain_id(self) -> str | None: ...
    @property
    def domain_id(self) -> str | None: ...
    @property
    def system_scope(self) -> str | None: ...
    @property
    def roles(self) -> frozenset[str]: ...
    @property
    def scope(self) -> str: ...


Decision = Callable[[Any, Any], bool]

MISSING: Any = object()
_OF_EVERY_CALLER = frozenset(
    ("user_id", "user_domain_id", "project_id", "project_domain_id", "domain_id", "system_scope")
)
_ALIASES = {"tenant": "project_id", "tenant_id": "project_id", "project": "project_id", "user": "user_id"}


def compile_check(check: Check, rules: Mapping[str, Check]) -> Decision:
    """A function `(creds, target) -> bool`. `rules` resolves `rule:name`; an unknown one or a cycle
    raises PolicyError."""
    text = _Expression(rules)
    body = text.of(check, ())
    opening = "    r = lower(c.roles)\n" if text.uses_roles else ""
    source = f"def decide(c, t):\n{opening}    return {body}\n"
    names = {
        "lower": lowered,
        "seek": seek,
        "same": _same,
        "fill": _fill,
        "owns": _owns,
        "holds": _holds,
        **text.values,
    }
    exec(compile(source, "<policy>", "exec"), names)  # noqa: S102 - our own text; values go by name
    decision: Decision = names["decide"]
    return decision


class _Expression:
    """Writes a check as a Python expression over c (creds), t (target) and r (lower-case roles)."""

    def __init__(self, rules: Mapping[str, Check]) -> None:
        self.rules = rules
        self.values: dict[str, Any] = {}
        self.uses_roles = False

    def of(self, check: Check, above: tuple[str, ...]) -> str:
        match check:
            case Always():
                return "True"
            case Never():
                return "False"
            case RuleRef(name):
                return self.of(resolve(name, self.rules, above), (*above, name))
            case Not(inner):
                return f"(not {self.of(inner, above)})"
            case All(parts):
                return "(" + " and ".join(self.of(part, above) for part in parts) + ")"
            case AnyOf(parts):
                return "(" + " or ".join(self.of(part, above) for part in parts) + ")"
            case Role(name):
                return self.role(name)
            case Literal(value, match):
                return self.literal(value, match)
            case Attribute(path, match):
                return self.attribute(creds_path(path), match)

    def role(self, name: Template) -> str:
        self.uses_roles = True
        if name.constant is not None:
            return f"({self.keep(name.constant.lower())} in r)"
        return f"(str({self.right(name)}).lower() in r)"

    def literal(self, value: object, match: Template) -> str:
        if match.constant is not None:
            return str(str(value) == match.constant)
        if value is None and match.sole_key:
            return f"(seek(t, {self.keep(match.sole_key)}) is None)"
        return f"same({self.keep(value)}, {self.right(match)})"

    def attribute(self, path: str, match: Template) -> str:
        held = f"c.{path}" if path in _OF_EVERY_CALLER else f"seek(c, {self.keep(path)})"
        if match.sole_key:
            return f"owns({held}, t, {self.keep(match.sole_key)})"
        return f"holds({held}, {self.right(match)})"

    def right(self, match: Template) -> str:
        if match.constant is not None:
            return self.keep(match.constant)
        if match.sole_key:
            return f"seek(t, {self.keep(match.sole_key)})"
        return f"fill({self.keep(match.parts)}, t)"

    def keep(self, value: object) -> str:
        name = f"k{len(self.values)}"
        self.values[name] = value
        return name


def resolve(name: str, rules: Mapping[str, Check], above: tuple[str, ...]) -> Check:
    """The check of `rule:name`; PolicyError when unknown or part of a cycle."""
    if name in above:
        raise PolicyError(f"the rules refer to each other in a circle: {' -> '.join((*above, name))}")
    if name not in rules:
        raise PolicyError(f"the rule {name!r} is referred to but does not exist")
    return rules[name]


def creds_path(path: str) -> str:
    """The attribute of the caller a rule means: old rules say tenant for project."""
    return _ALIASES.get(path, path)


@lru_cache(maxsize=4096)
def lowered(roles: frozenset[str]) -> frozenset[str]:
    """The roles in lower case; cached, since a frozenset remembers its hash."""
    return frozenset(role.lower() for role in roles)


def seek(source: Any, key: str) -> Any:
    """`source[key]`, or the walk along a dotted key through mappings and attributes; MISSING if absent."""
    if isinstance(source, dict) and key in source:
        return source[key]
    found = _step(source, key)
    if found is not MISSING or "." not in key:
        return found
    for part in key.split("."):
        source = [_step(each, part) for each in source] if isinstance(source, list) else _step(source, part)
    return source


def _step(source: Any, key: str) -> Any:
    if isinstance(source, Mapping):
        return source.get(key, MISSING)
    return getattr(source, key, MISSING)


def _same(left: Any, right: Any) -> bool:
    """Compared as text, like the language's first implementation, but None equals nothing: a caller
    without a project must not match a resource without one."""
    if left is right and left.__class__ is str:
        return True
    if right is MISSING or right is None or left is MISSING or left is None:
        return False
    if isinstance(left, list | tuple | set | frozenset):
        return any(_same(each, right) for each in left)
    return str(left) == str(right)


def _owns(held: Any, target: Any, key: str) -> bool:
    """Whether what the caller holds equals `target[key]`; the usual flat case comes first, for speed."""
    if target.__class__ is dict and held.__class__ is str:
        found = target.get(key)
        if found.__class__ is str:
            return bool(held) and held == found
    return _holds(held, seek(target, key))


def _holds(held: Any, wanted: Any) -> bool:
    """An empty attribute of the caller is no attribute: it must not match an empty one of the target."""
    return held != "" and _same(held, wanted)


def _fill(parts: tuple[tuple[bool, str], ...], target: Any) -> Any:
    """The template filled from the target; MISSING when a key is."""
    texts = [seek(target, text) if is_key else text for is_key, text in parts]
    return MISSING if any(text is MISSING or text is None for text in texts) else "".join(map(str, texts))
