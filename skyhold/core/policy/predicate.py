# SPDX-License-Identifier: Apache-2.0
"""Rules for lists: what must be true of a row, once it is known who asks.

Deciding about one loaded target is compile.py; turning alternatives into SQL is the store's work.
The one thing to know first: the answer is True, False or a disjunction of conjunctions of
equalities on target keys, and a rule that cannot take this form is refused when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skyhold.core.policy.compile import MISSING, compile_check, creds_path, lowered, resolve, seek
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

Alternative = tuple[tuple[str, Any], ...]
Predicate = bool | tuple[Alternative, ...]
Partial = Callable[[Any], Predicate]


def compile_predicate(check: Check, rules: Mapping[str, Check]) -> Partial:
    """A function `creds -> True | False | (alternative, …)`, where an alternative is a tuple of
    (target key, value) that must all hold; the value None asks for a missing value (IS NULL).

    Raises PolicyError when the rule cannot become one.
    """
    return _partial(check, rules, ())


def _partial(check: Check, rules: Mapping[str, Check], above: tuple[str, ...]) -> Partial:
    match check:
        case Always():
            return lambda creds: True
        case Never():
            return lambda creds: False
        case RuleRef(name):
            return _partial(resolve(name, rules, above), rules, (*above, name))
        case All(parts):
            return _all([_partial(part, rules, above) for part in parts])
        case AnyOf(parts):
            return _any([_partial(part, rules, above) for part in parts])
        case Not(inner):
            return _negated(inner, rules, above)
        case Role(name):
            return _role(name)
        case Literal(value, match):
            return _literal(value, match)
        case Attribute(path, match):
            return _attribute(path, match)


def _role(name: Template) -> Partial:
    if name.constant is None:
        raise PolicyError(f"role:{name} reads the role's name from the target; a list cannot be filtered so")
    wanted = name.constant.lower()
    return lambda creds: wanted in lowered(creds.roles)


def _literal(value: object, match: Template) -> Partial:
    if match.constant is not None:
        same = str(value) == match.constant
        return lambda creds: same
    alternatives: Predicate = (((_key(match), value),),)
    return lambda creds: alternatives


def _attribute(path: str, match: Template) -> Partial:
    path = creds_path(path)
    if match.constant is not None:
        return _of_creds_alone(Attribute(path, match))
    key = _key(match)

    def partial(creds: Any) -> Predicate:
        value = seek(creds, path)
        if isinstance(value, list | tuple | set | frozenset):
            return tuple(((key, each),) for each in value if _is_held(each)) or False
        return (((key, value),),) if _is_held(value) else False

    return partial


def _is_held(value: Any) -> bool:
    return value is not None and value is not MISSING and value != ""


def _of_creds_alone(check: Check) -> Partial:
    """A check that asks about the caller alone."""
    decide = compile_check(check, {})
    return lambda creds: decide(creds, None)


def _key(match: Template) -> str:
    if match.sole_key is None:
        raise PolicyError(f"{match} mixes text and target keys; a list can only be filtered by %(key)s alone")
    return match.sole_key


def _negated(inner: Check, rules: Mapping[str, Check], above: tuple[str, ...]) -> Partial:
    if depends_on_target(inner, rules, above):
        raise PolicyError("'not' before a check on the target cannot become a filter for lists")
    decide = compile_check(Not(inner), rules)
    return lambda creds: decide(creds, None)


def depends_on_target(check: Check, rules: Mapping[str, Check], above: tuple[str, ...] = ()) -> bool:
    """Whether the answer can differ between two targets for one caller."""
    match check:
        case Always() | Never():
            return False
        case RuleRef(name):
            return depends_on_target(resolve(name, rules, above), rules, (*above, name))
        case Not(inner):
            return depends_on_target(inner, rules, above)
        case All(parts) | AnyOf(parts):
            return any(depends_on_target(part, rules, above) for part in parts)
        case Role(template) | Literal(_, template) | Attribute(_, template):
            return template.constant is None


def at_best(check: Check, rules: Mapping[str, Check], hopeful: bool = True) -> Check:
    """The check with every question about the target answered in the caller's favour (or, not
    `hopeful`, against it): whether any target at all could be allowed."""
    match check:
        case Always() | Never():
            return check
        case RuleRef(name):
            return at_best(rules[name], rules, hopeful)
        case Not(inner):
            return Not(at_best(inner, rules, not hopeful))
        case All(parts):
            return All(tuple(at_best(part, rules, hopeful) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(at_best(part, rules, hopeful) for part in parts))
        case Role(template) | Literal(_, template) | Attribute(_, template):
            if template.constant is not None:
                return check
            return Always() if hopeful else Never()


def _any(parts: list[Partial]) -> Partial:
    def partial(creds: Any) -> Predicate:
        found: list[Alternative] = []
        for part in parts:
            answer = part(creds)
            if answer is True:
                return True
            if answer is not False:
                found.extend(answer)
        return _simplest(found)

    return partial


def _all(parts: list[Partial]) -> Partial:
    def partial(creds: Any) -> Predicate:
        found: list[Alternative] = [()]
        for part in parts:
            answer = part(creds)
            if answer is False:
                return False
            if answer is not True:
                found = (
                    list(answer)
                    if found == [()]
                    else [both for left in found for right in answer if (both := _joined(left, right))]
                )
        return True if found == [()] else _simplest(found)

    return partial


def _joined(left: Alternative, right: Alternative) -> Alternative | None:
    """Both conjunctions at once, or None when they contradict each other."""
    both = dict(left)
    for key, value in right:
        if key in both and both[key] != value:
            return None
        both[key] = value
    return tuple(both.items())


def _simplest(found: list[Alternative]) -> Predicate:
    """Without repetitions and without alternatives that a wider one covers."""
    if len(found) < 2:
        return tuple(found) or False
    sets = [frozenset(each) for each in found]
    kept = [
        each
        for at, each in enumerate(found)
        if not any(
            other < sets[at] or (other == sets[at] and before < at)
            for before, other in enumerate(sets)
        )
    ]
    return tuple(kept) or False
