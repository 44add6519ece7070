# SPDX-License-Identifier: Apache-2.0
"""The rules of a running program: registered by the services, overridden by the operator, decided.

The language is language.py, its compilation compile.py and predicate.py, the usual check strings
defaults.py. The one thing to know first: nothing is allowed by default; a name that nobody
registered is an error at start and when asked, never a "yes".
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skyhold.core.policy import language
from skyhold.core.policy.compile import Creds, Decision, compile_check, resolve
from skyhold.core.policy.language import Check, PolicyError
from skyhold.core.policy.predicate import Partial, Predicate, at_best, compile_predicate

CheckText = str | Sequence[str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as data. An empty `scope` asks for none; `lists` says that it also filters lists.

    `operations` are (method, path) pairs, for documentation. Example: `Rule("compute:servers:create",
    "rule:project_member", scope=("project",), operations=(("POST", "/servers"),))`.
    """

    name: str
    check: str
    scope: tuple[str, ...] = ()
    description: str = ""
    operations: tuple[tuple[str, str], ...] = ()
    lists: bool = False


@dataclass(frozen=True, slots=True)
class _Ready:
    rule: Rule
    check: Check
    scope: frozenset[str] | None
    decide: Decision
    possible: Decision
    partial: Partial | None
    refusal: str


class Policy:
    """`register`, perhaps `override`, then `compile`; after that `allows`, `predicate`, `explain`."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._overrides: dict[str, CheckText] = {}
        self._checks: dict[str, Check] = {}
        self._ready: dict[str, _Ready] = {}

    def register(self, *rules: Rule) -> None:
        """Add rules. PolicyError when a name is taken by a different rule."""
        for rule in rules:
            if self._rules.setdefault(rule.name, rule) != rule:
                raise PolicyError(f"two different rules are called {rule.name!r}")

    def override(self, checks: Mapping[str, CheckText | None]) -> None:
        """Replace all earlier overrides by these (the content of policy.yaml); takes effect at the
        next `compile`. PolicyError names the first unknown name and what was probably meant."""
        for name in checks:
            if name not in self._rules:
                near = difflib.get_close_matches(name, self._rules, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise PolicyError(f"the policy file overrides {name!r}, but there is no such rule{hint}")
        self._overrides = {name: check or "" for name, check in checks.items()}

    def compile(self) -> None:
        """Make every rule ready, or raise PolicyError and leave what was ready before in force."""
        checks = {name: self._read(rule) for name, rule in self._rules.items()}
        ready = {name: _make_ready(rule, checks) for name, rule in self._rules.items()}
        self._checks, self._ready = checks, ready

    def allows(self, name: str, creds: Creds, target: Any = None) -> bool:
        """Whether the caller may, on this target (a mapping, flat or nested, or an object).

        PolicyError for a name that was never registered.
        """
        ready = self._ready.get(name) or self._missing(name)
        if ready.scope is not None and creds.scope not in ready.scope:
            return False
        return ready.decide(creds, target)

    def predicate(self, name: str, creds: Creds) -> Predicate:
        """What a row must fulfil: True (every row), False (none) or alternatives, each a tuple of
        (target key, value). PolicyError when the rule cannot filter lists."""
        ready = self._ready.get(name) or self._missing(name)
        if ready.partial is None:
            raise PolicyError(ready.refusal)
        if ready.scope is not None and creds.scope not in ready.scope:
            return False
        return ready.partial(creds)

    def possible(self, name: str, creds: Creds) -> bool:
        """Whether some target could be allowed: what a route can ask before a target is loaded.
        Unlike `predicate` it has an answer for every rule; never False where `allows` could be True."""
        ready = self._ready.get(name) or self._missing(name)
        if ready.scope is not None and creds.scope not in ready.scope:
            return False
        if not ready.possible(creds, None):
            return False
        return ready.partial is None or ready.partial(creds) is not False

    def explain(self, name: str, creds: Creds) -> str:
        """Why not, in one sentence for the user: what the rule needs and what the caller has; when the
        token's scope is wrong, only that."""
        ready = self._ready.get(name) or self._missing(name)
        if ready.scope is not None and creds.scope not in ready.scope:
            return f"rule {name} works in {_either(ready.rule.scope)} scope only; {_token(creds)}"
        needs = _prose(ready.check, self._checks)
        scope = f" in {_either(ready.rule.scope)} scope" if ready.rule.scope else ""
        return f"rule {name} needs {needs}{scope}; you have {_holdings(creds)}"

    def rules(self) -> list[Rule]:
        """All rules by name, with the check strings in force."""
        return [self._in_force(self._rules[name]) for name in sorted(self._rules)]

    def __contains__(self, name: str) -> bool:
        return name in self._rules

    def _in_force(self, rule: Rule) -> Rule:
        check = self._overrides.get(rule.name, rule.check)
        text = check if isinstance(check, str) else _as_text(check)
        return Rule(rule.name, text, rule.scope, rule.description, rule.operations, rule.lists)

    def _read(self, rule: Rule) -> Check:
        try:
            return language.parse(self._overrides.get(rule.name, rule.check))
        except PolicyError as error:
            raise PolicyError(f"rule {rule.name}: {error}") from None

    def _missing(self, name: str) -> _Ready:
        state = "was not compiled" if name in self._rules else "does not exist"
        raise PolicyError(f"the policy rule {name!r} {state}")


def _make_ready(rule: Rule, checks: Mapping[str, Check]) -> _Ready:
    check = checks[rule.name]
    unknown = set(rule.scope) - {"system", "domain", "project", "unscoped"}
    if unknown:
        raise PolicyError(f"rule {rule.name}: there is no scope {sorted(unknown)[0]!r}")
    try:
        decide = compile_check(language.RuleRef(rule.name), checks)
    except PolicyError as error:
        raise PolicyError(f"rule {rule.name}: {error}") from None
    partial, refusal = _try_predicate(rule, check, checks)
    possible = compile_check(at_best(check, checks), checks)
    scope = frozenset(rule.scope) if rule.scope else None
    return _Ready(rule, check, scope, decide, possible, partial, refusal)


def _try_predicate(rule: Rule, check: Check, checks: Mapping[str, Check]) -> tuple[Partial | None, str]:
    try:
        return compile_predicate(check, checks), ""
    except PolicyError as error:
        refusal = f"rule {rule.name} cannot guard lists: {error}"
    if rule.lists:
        raise PolicyError(refusal)
    return None, refusal


def _as_text(rows: Sequence[str | Sequence[str]]) -> str:
    texts = [row if isinstance(row, str) else " and ".join(row) for row in rows if row]
    return " or ".join(f"({text})" for text in texts) if rows else ""


def _prose(
    check: Check, checks: Mapping[str, Check], above: tuple[str, ...] = (), nested: bool = False
) -> str:
    """A check in words; parentheses only where the order would be unclear."""
    match check:
        case language.Always():
            return "nothing more"
        case language.Never():
            return "what nobody has"
        case language.RuleRef(name):
            return _prose(resolve(name, checks, above), checks, (*above, name), nested)
        case language.Not(inner):
            return f"not {_prose(inner, checks, above, True)}"
        case language.All(parts):
            text = " and ".join(_prose(part, checks, above, True) for part in parts)
        case language.AnyOf(parts):
            text = " or ".join(_prose(part, checks, above, True) for part in parts)
        case language.Role(name):
            return f"role {name}"
        case language.Literal(value, match):
            return f"{_of_target(match)} to be {value}"
        case language.Attribute(path, match):
            return f"{path} to be {_of_target(match)}"
    return f"({text})" if nested else text


def _of_target(match: language.Template) -> str:
    # Identity's own rules say `target.user.domain_id`, the others' only `project_id`.
    return f"the target's {match.sole_key.removeprefix('target.')}" if match.sole_key else str(match)


def _holdings(creds: Creds) -> str:
    roles = sorted(creds.roles)
    held = ("role " if len(roles) == 1 else "roles ") + ", ".join(roles) if roles else "no role"
    where = {
        "project": f"in project {creds.project_id}",
        "domain": f"in domain {creds.domain_id}",
        "system": "in the system",
    }
    return f"{held} {where.get(creds.scope, 'in an unscoped token')}"


def _token(creds: Creds) -> str:
    where = {
        "project": f"for project {creds.project_id}",
        "domain": f"for domain {creds.domain_id}",
        "system": "for the system",
    }
    return f"your token is {where.get(creds.scope, 'unscoped')}"


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(words)
