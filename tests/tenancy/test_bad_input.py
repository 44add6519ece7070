# SPDX-License-Identifier: Apache-2.0
"""Every field of every body of identity: missing, null, of another type, too long, in other scripts.

The fields come from the routes' own schemas, so a new resource is tried as soon as it exists; bodies that are none
at all are test_hostile.py. Two of one name are the races' business (tests/race).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from skyhold.core.shapes import json_schema
from tests.kit.client import Answer
from tests.tenancy.land import Land
from tests.tenancy.operations import Operation, every
from tests.tenancy.test_hostile import able, send, speaks, takes_json

SAMPLES: dict[str, Any] = {
    "null": None, "string": "text", "integer": 5, "boolean": True, "array": [5], "object": {"a": 5},
}
SCRIPTS = "Ünï-名前-💥-\u202e-i\u0307"
LONG = 100_000

At = tuple[str | int, ...]


def ours(operation: Operation) -> bool:
    return operation.service.name == "identity" and takes_json(operation)


@every(ours)
async def test_each_field_of_a_body_is_looked_at(land: Land, operation: Operation) -> None:
    body = operation.body(land.ids)
    wrong = []
    for what, spoilt, must_fail in spoiled(json_schema(operation.route.body, operation.version), body):
        answer = await attempt(land, operation, spoilt)
        # What is longer than any body may be is refused before it is read.
        if must_fail and answer.status != 400 and not (answer.status == 413 and what.endswith("too long")):
            wrong.append(f"{what}: {answer.status} {answer.body[:200]!r}")
        elif answer.status >= 400 and not speaks(answer):
            wrong.append(f"{what}: {answer.body[:200]!r}")
    assert not wrong, "\n".join(wrong)


async def attempt(land: Land, operation: Operation, body: Any) -> Answer:
    answer = await send(land, able(land, operation), operation, orjson.dumps(body))
    assert answer.status < 500, f"{body!r:.500}: {answer.status} {answer.body!r}"
    return answer


def spoiled(schema: dict[str, Any], body: Any, at: At = ()) -> Iterator[tuple[str, Any, bool]]:
    """(what is wrong, the body with it, whether it must be refused), for every field that the schema names."""
    here = look(body, at)
    if isinstance(here, list) and schema.get("items", {}).get("properties"):
        for i in range(len(here)):
            yield from spoiled(schema["items"], body, (*at, i))
    if not isinstance(here, dict):
        return
    required = set(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        where = (*at, name)
        words = ".".join(map(str, where))
        if name in here:
            yield f"{words} missing", without(body, where), name in required
        for kind, sample in SAMPLES.items():
            yield f"{words} is {kind}", with_value(body, where, sample), not admits(inner, kind)
        if (bound := longest(inner)) is not None:
            yield f"{words} too long", with_value(body, where, "x" * (bound + 1)), True
        elif admits(inner, "string"):
            yield f"{words} very long", with_value(body, where, "x" * LONG), False
        if admits(inner, "string"):
            yield f"{words} in other scripts", with_value(body, where, SCRIPTS), False
            yield f"{words} empty", with_value(body, where, ""), inner.get("minLength", 0) > 0
        if "enum" in inner:
            yield f"{words} is none of the choices", with_value(body, where, "nothing of the kind"), True
        if name in here:
            yield from spoiled(inner, body, where)


def admits(schema: dict[str, Any], kind: str) -> bool:
    """Whether a value of this kind may do; a schema without a type takes anything."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return any(admits(each, kind) for each in schema[word])
    if "enum" in schema and "type" not in schema:
        return any(kind_of(each) == kind for each in schema["enum"])
    types = schema.get("type", list(SAMPLES))
    types = [types] if isinstance(types, str) else types
    return kind in types or (kind == "integer" and "number" in types)


def kind_of(value: Any) -> str:
    return next(kind for kind, sample in SAMPLES.items() if type(sample) is type(value))


def longest(schema: dict[str, Any]) -> int | None:
    """The bound of a text, where nothing but texts is admitted (and null)."""
    found = schema.get("maxLength")
    return found if found is not None and not admits(schema, "array") else None


def look(body: Any, at: At) -> Any:
    for step in at:
        body = body[step]
    return body


def with_value(body: Any, at: At, value: Any) -> Any:
    made = copy.deepcopy(body)
    look(made, at[:-1])[at[-1]] = value
    return made


def without(body: Any, at: At) -> Any:
    made = copy.deepcopy(body)
    del look(made, at[:-1])[at[-1]]
    return made


def test_the_matrix_finds_what_it_should() -> None:
    name = {"type": "string", "minLength": 1, "maxLength": 3}
    inner = {"type": "object", "required": ["name"], "properties": {"name": name}}
    schema = {"type": "object", "required": ["x"], "properties": {"x": inner}}
    found = {what: must for what, _, must in spoiled(schema, {"x": {"name": "a"}})}
    assert found["x missing"] and found["x.name missing"] and found["x.name too long"] and found["x.name empty"]
    assert found["x.name is null"] and found["x.name is array"]
    assert not found["x.name in other scripts"]


@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": ["string", "null"]}, {}])
def test_a_text_is_admitted_where_it_is(schema: dict[str, Any]) -> None:
    assert admits(schema, "string")
    assert admits(schema, "array") is (schema == {})
