# SPDX-License-Identifier: Apache-2.0
"""The policy language of OpenStack: check strings are read here into a tree of small values.

What a tree decides is in compile.py (one caller and one target) and predicate.py (lists); which
rules exist is in rules.py. The one thing to know first: a text that cannot be read is an error
that stops the program, while the language's first implementation turns it into "deny".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn


class PolicyError(Exception):
    """The policy cannot be used as written; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Always:
    """`@` or an empty text."""


@dataclass(frozen=True, slots=True)
class Never:
    """`!`"""


@dataclass(frozen=True, slots=True)
class RuleRef:
    """`rule:name`"""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """The right side of a check: plain text pieces and target keys in turn."""

    parts: tuple[tuple[bool, str], ...]  # (is a target key, text)

    @property
    def constant(self) -> str | None:
        """The text, when no part depends on the target."""
        return None if any(key for key, _ in self.parts) else "".join(text for _, text in self.parts)

    @property
    def sole_key(self) -> str | None:
        """The target key, when the template is exactly `%(key)s`."""
        return self.parts[0][1] if len(self.parts) == 1 and self.parts[0][0] else None

    def __str__(self) -> str:
        return "".join(f"%({text})s" if key else text for key, text in self.parts)


@dataclass(frozen=True, slots=True)
class Role:
    """`role:member`; roles compare without regard to case."""

    name: Template


@dataclass(frozen=True, slots=True)
class Literal:
    """`'public':%(visibility)s`, `True:%(shared)s`, `None:%(domain_id)s`"""

    value: object
    match: Template


@dataclass(frozen=True, slots=True)
class Attribute:
    """`project_id:%(project_id)s`, `system_scope:all`: something of the caller, compared as text."""

    path: str
    match: Template


@dataclass(frozen=True, slots=True)
class Not:
    inner: Check


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Check, ...]


Check = Always | Never | RuleRef | Role | Literal | Attribute | Not | All | AnyOf


def parse(rule: str | Sequence[str | Sequence[str]]) -> Check:
    """Read a check string, or the old form: a list (any of) of lists (all of) of checks.

    Example: `parse("role:admin or (role:member and project_id:%(project_id)s)")`.
    Raises PolicyError.
    """
    if not rule:
        return Always()
    if isinstance(rule, str):
        return _Reader(rule).read()
    return _parse_lists(rule)


def _parse_lists(rule: Sequence[str | Sequence[str]]) -> Check:
    rows = [[row] if isinstance(row, str) else list(row) for row in rule if row]
    if not rows:
        return Never()
    return _any_of([_all_of([_parse_check(text) for text in row]) for row in rows])


def _all_of(parts: list[Check]) -> Check:
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _any_of(parts: list[Check]) -> Check:
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


class _Reader:
    """Recursive descent: `not` binds tightest, then `and`, then `or`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0

    def read(self) -> Check:
        if not self.tokens:
            return Always()
        check = self.either()
        if self.at < len(self.tokens):
            self.fail(f"does not expect {self.tokens[self.at]!r} there")
        return check

    def either(self) -> Check:
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        return _any_of(parts)

    def both(self) -> Check:
        parts = [self.one()]
        while self.take("and"):
            parts.append(self.one())
        return _all_of(parts)

    def one(self) -> Check:
        if self.take("not"):
            return Not(self.one())
        if self.take("("):
            inner = self.either()
            if not self.take(")"):
                self.fail("misses a closing parenthesis")
            return inner
        if self.at == len(self.tokens):
            self.fail("ends where a check was expected")
        token = self.tokens[self.at]
        if token in (")", "and", "or"):
            self.fail(f"does not expect {token!r} there")
        self.at += 1
        return _parse_check(token)

    def take(self, token: str) -> bool:
        found = self.at < len(self.tokens) and self.tokens[self.at] == token
        self.at += found
        return found

    def fail(self, what: str) -> NoReturn:
        raise PolicyError(f"the rule {self.text!r} {what}")


def _tokens(text: str) -> Iterator[str]:
    """Split at white space; parentheses count only at a word's ends, since `%(x)s` holds some."""
    for word in text.split():
        opened = word.lstrip("(")
        yield from "(" * (len(word) - len(opened))
        core = opened.rstrip(")")
        if core:
            yield core.lower() if core.lower() in ("and", "or", "not") else core
        yield from ")" * (len(opened) - len(core))


def _parse_check(text: str) -> Check:
    if text == "@":
        return Always()
    if text == "!":
        return Never()
    kind, colon, match = text.partition(":")
    if not colon or not kind:
        raise PolicyError(f"{text!r} is not a check: expected kind:match, for example role:member")
    if kind == "rule":
        return RuleRef(match)
    if kind in ("http", "https"):
        raise PolicyError(
            f"the check {text!r} asks another server for the decision; this is not supported, "
            "because a decision must not depend on the network"
        )
    template = _template(match)
    if kind == "role":
        return Role(template)
    try:
        return Literal(ast.literal_eval(kind), template)
    except (ValueError, SyntaxError):
        return Attribute(kind, template)


_PIECE = re.compile(r"%\(([^()]+)\)s|%%|(%)|([^%]+)")


def _template(text: str) -> Template:
    parts: list[tuple[bool, str]] = []
    for piece in _PIECE.finditer(text):
        if piece[2]:
            raise PolicyError(f"{text!r} holds a '%' that is neither %(key)s nor %%")
        if piece[1]:
            parts.append((True, piece[1]))
        else:
            parts.append((False, piece[3] or "%"))
    return Template(tuple(parts))
