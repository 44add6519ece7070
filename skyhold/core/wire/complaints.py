# SPDX-License-Identifier: Apache-2.0
"""What a user is told about a body that does not fit its schema.

The schema is schema.py; the error itself is core/errors.py's Invalid. The one thing to know first:
the words follow Nova's, because scripts out there search for them, and no value is repeated beyond
200 characters or when its field is secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema_rs

from skyhold.core import errors
from skyhold.core.wire.kinds import INT64_MAX, INT64_MIN

_LONGEST = 200
_DEEPEST = 200


def complaint(
    error: jsonschema_rs.ValidationError, schema: Any, envelope: str | None, place: str
) -> errors.Invalid:
    """The Invalid for a validation error. `place` is "field/attribute" or "query parameters"."""
    error = _closest(error)
    steps = list(error.instance_path)
    if envelope is not None and len(steps) > 1 and steps[0] == envelope:
        steps = steps[1:]
    path = path_text(steps)
    secret = _is_secret(schema, error.schema_path)
    problem = _WORDS.get(error.kind.name, _other)(error, "The value" if secret else shown(error.instance))
    if not path:
        return errors.Invalid(problem, path="")
    if secret or isinstance(error.instance, dict | list):
        return errors.Invalid(f"Invalid input for {place} {path}. {problem}", path=path)
    return errors.Invalid(
        f"Invalid input for {place} {path}. Value: {_cut(str(error.instance))}. {problem}", path=path
    )


def edge_complaint(body: Any, place: str) -> errors.Invalid | None:
    """What no field may hold, wherever it stands: NUL and lone surrogates in strings, integers
    beyond 64 bits, nesting beyond measure. None when the body has nothing of this."""
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(body, ())]
    while waiting:
        value, path = waiting.pop()
        if len(path) > _DEEPEST:
            return errors.Invalid(f"The body is nested deeper than {_DEEPEST} levels.", path="")
        if isinstance(value, dict):
            for key, inner in value.items():
                if problem := _bad_text(key):
                    return errors.Invalid(f"A key below '{path_text(path)}' {problem}.", path=path_text(path))
                waiting.append((inner, (*path, key)))
        elif isinstance(value, list):
            waiting.extend((inner, (*path, at)) for at, inner in enumerate(value))
        elif problem := _bad_text(value) if isinstance(value, str) else _bad_number(value):
            text = path_text(path)
            words = f"Invalid input for {place} {text}. The value {problem}."
            return errors.Invalid(words, path=text)
    return None


def path_text(steps: Any) -> str:
    """networks[0].uuid"""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text[:_LONGEST]


def shown(value: Any) -> str:
    """A value in a message. Objects and lists are only named: a password may be inside."""
    if isinstance(value, dict):
        return "The object"
    return "The list" if isinstance(value, list) else _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _bad_text(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return None


def _bad_number(value: Any) -> str | None:
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return "is an integer beyond 64 bits"
    return None


def _closest(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """Of an anyOf's branches the one the user meant: the only one whose type fits."""
    while error.kind.name in ("anyOf", "oneOf"):
        depth = len(list(error.instance_path))
        meant = [
            branch
            for branch in getattr(error.kind, "context", ())
            if branch and not (branch[0].kind.name == "type" and len(list(branch[0].instance_path)) <= depth)
        ]
        if len(meant) != 1:
            return error
        error = meant[0][0]
    return error


def _is_secret(schema: Any, steps: Any) -> bool:
    for step in steps:
        if isinstance(schema, dict) and schema.get("writeOnly"):
            return True
        try:
            schema = schema[step]
        except (KeyError, IndexError, TypeError):
            return False
    return False


def _limit(error: Any) -> Any:
    return getattr(error.kind, "limit", None)


def _type(error: Any, value: str) -> str:
    names = " or ".join(f"'{name}'" for name in error.kind.types)
    return f"{value} is not of type {names}"


def _format(error: Any, value: str) -> str:
    name = error.kind.format
    if name.startswith("integer:"):
        _, low, high = name.split(":")
        least = f" of at least {low}" if int(low) > INT64_MIN else ""
        most = f" of at most {high}" if int(high) < INT64_MAX else ""
        return f"{value} is not an integer{least}{' and' if least and most else ''}{most}"
    if name == "name":
        return f"{value} has white space at an end or characters that cannot be printed"
    return f"{value} is not a '{name}'"


def _unexpected(error: Any, value: str) -> str:
    names = [shown(name) for name in error.kind.unexpected[:10]]
    verb = "was" if len(names) == 1 else "were"
    return f"Additional properties are not allowed ({', '.join(names)} {verb} unexpected)"


def _enum(error: Any, value: str) -> str:
    return f"{value} is not one of {_cut(str(list(error.kind.options)))}"


def _names(error: Any, value: str) -> str:
    return f"{value} has a key that is not allowed: {_cut(error.message)}"


def _other(error: Any, value: str) -> str:
    return f"{value} does not fit: {error.kind.name}"


_WORDS: dict[str, Callable[[Any, str], str]] = {
    "type": _type,
    "required": lambda error, value: f"'{error.kind.property}' is a required property",
    "additionalProperties": _unexpected,
    "minLength": lambda error, value: f"{value} is too short",
    "maxLength": lambda error, value: f"{value} is too long",
    "minItems": lambda error, value: f"{value} is too short",
    "maxItems": lambda error, value: f"{value} is too long",
    "minProperties": lambda error, value: f"{value} does not have enough properties",
    "maxProperties": lambda error, value: f"{value} has too many properties",
    "minimum": lambda error, value: f"{value} is less than the minimum of {_limit(error)}",
    "maximum": lambda error, value: f"{value} is greater than the maximum of {_limit(error)}",
    "uniqueItems": lambda error, value: f"{value} has non-unique elements",
    "pattern": lambda error, value: f"{value} does not match '{_cut(str(error.kind.pattern))}'",
    "enum": _enum,
    "format": _format,
    "propertyNames": _names,
    "anyOf": lambda error, value: f"{value} is not valid under any of the given schemas",
}
