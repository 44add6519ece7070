# SPDX-License-Identifier: Apache-2.0
"""The published descriptions of the upstream APIs, as something to hold an answer against.

The files lie beside the repository, in ../shared/contracts; without them there is nothing to test.
The one thing to know first: they describe all microversions at once, so a schema is cut down to
what one version has before it judges. Their good statuses are made up from the method (a POST is
201, whatever upstream answers), so only bodies are held against them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from skyhold.core.versions import Version

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "contracts"
FILES = {
    "identity": "identity-*.yaml", "compute": "compute-*.yaml", "network": "network-*.yaml",
    "image": "image-*.yaml", "placement": "placement-*.yaml",
    "volume": "block-storage-*.yaml",
}
VARIABLE = re.compile(r"\{[^}]+\}")


@cache
def contract(service: str) -> dict[str, Any]:
    """The file of a service, its paths without the names of their variables; empty without a file."""
    found = sorted(FOLDER.glob(FILES[service])) if service in FILES else []
    if not found:
        return {}
    read: dict[str, Any] = yaml.load(found[-1].read_text(), Loader=yaml.CSafeLoader)
    read["paths"] = {VARIABLE.sub("{}", path).rstrip("/"): methods for path, methods in read["paths"].items()}
    return read


def answers(service: str, method: str, path: str) -> dict[str, Any] | None:
    """Status to response, as the contract has them; None for what it does not describe."""
    methods = contract(service).get("paths", {}).get(VARIABLE.sub("{}", path).rstrip("/"), {})
    described = methods.get(method.lower())
    return None if described is None else described["responses"]


def schema_of(response: dict[str, Any]) -> Any:
    return response.get("content", {}).get("application/json", {}).get("schema")


def complaints(service: str, schema: Any, version: Version, answer: Any) -> list[str]:
    """What the schema has against the answer, the first few."""
    whole = {"$ref": "#/$defs/it", "$defs": {"it": resolved(service, schema, version)}}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=False)
    found = []
    for error in validator.iter_errors(answer):
        where = "/".join(map(str, error.instance_path))
        found.append(f"{where}: {error.message[:300]}")
    return found[:5]


def resolved(service: str, schema: Any, version: Version, above: tuple[str, ...] = ()) -> Any:
    """The schema without references, and without what this version does not have."""
    if isinstance(schema, list):
        return [resolved(service, each, version, above) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if name := reference(schema):
        # A thing that holds itself (a tree) is judged as deep as the first of its kind.
        return {} if name in above else resolved(service, component(service, name), version, (*above, name))
    found = {
        key: resolved(service, value, version, above) for key, value in schema.items()
        # Words of other dialects of JSON Schema, which say nothing here.
        if key not in ("oneOf", "examples", "example") and not (key.startswith("exclusive") and value is True)
    }
    for name, inner in (schema.get("properties") or {}).items():
        if isinstance(inner, dict) and not within(inner, version):
            del found["properties"][name]
    if isinstance(found.get("type"), str) and found["type"] != "null":
        # The files seldom say what may be null; upstream answers null for whatever is unset.
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    if service == "identity" and "properties" in found:
        # A known fault of the file: links are objects, and where they are left out they come anyway.
        found["properties"]["links"] = {}
    # A list: what describes schemas has properties that are called so.
    if isinstance(found.get("required"), list) and "properties" in found:
        found["required"] = [name for name in found["required"] if name in found["properties"]]
    if choices := schema.get("oneOf"):
        # Several may fit: the alternatives are versions, and forms that overlap.
        kept = [each for each in choices if within(target(service, each), version)] or choices
        found["anyOf"] = resolved(service, kept, version, above)
    return found


def reference(schema: dict[str, Any]) -> str:
    value = schema.get("$ref")
    return value.rpartition("/")[2] if isinstance(value, str) else ""


def component(service: str, name: str) -> Any:
    return contract(service)["components"]["schemas"][name]


def target(service: str, schema: Any) -> Any:
    return component(service, name) if isinstance(schema, dict) and (name := reference(schema)) else schema


def within(schema: Any, version: Version) -> bool:
    told = schema.get("x-openstack", {}) if isinstance(schema, dict) else {}
    least, most = told.get("min-ver"), told.get("max-ver")
    if version == Version(0, 0):
        return True
    return (least is None or Version.parse(str(least)) <= version) and (
        most is None or version <= Version.parse(str(most))
    )
