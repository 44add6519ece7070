# SPDX-License-Identifier: Apache-2.0
"""The published descriptions of the upstream APIs, as something to hold an answer against.

The files lie beside the repository, in ../shared/contracts; without them there is nothing to test.
The one thing to know first: they describe all microversions at once, so a schema is cut down to
what one version has before it judges. Their good statuses are made up from the method (a POST is
201, whatever upstream answers), so only bodies are held against them.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
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

DIFFERS: list[tuple[str, str, str]] = [
    # Part of a route, part of the complaint, and who says that the contract is wrong.
    ("application_credentials", "domain_id", "the API reference's samples have the domain of each role"),
    ("application_credentials", "more than 1 property", "the same"),
    ("security-group", "port_range", "the API reference and every client have ports as integers"),
    ("security-group", "security_group_rules", "the same, inside a group"),
    ("floatingips", "port_details", "the API reference has an object; openstacksdk reads one"),
    ("service-providers", "default", "the API reference has a boolean"),
    ("/v2/schemas/", "additionalProperties", "a schema is described by a schema of schemas that is too narrow"),
    ("/v2/schemas/", "properties", "the same, of schemas without that word"),
    ("/v2/schemas/metadefs/", "definitions", "the file calls these schemas texts"),
    ("/tags", "tags", "the API reference answers several tags with several"),
    ("POST /v2/metadefs/namespaces/{namespace_name}/tags", "name", "the same"),
    ("/v2/info/stores", "default", "the API reference has the word true as a string"),
    ("/v2/info/usage", "usage", "the API reference has an object by the name of the quota"),
    ("/v2.1/flavors", "OS-FLV-DISABLED:disabled", "the API reference has it, and the description since 2.55"),
    ("POST /v2.0/networks", "provider:segmentation_id", "a network of a kind without segments has none"),
    ("/v2.1/flavors", "swap", "before 2.75 no swap is an empty text"),
    ("/v2.1/servers", "/image: ", "the API reference: an empty text when the server boots from a volume"),
    ("/v2.1/os-hypervisors", "cpu_info", "a text before 2.28"),
    ("/v2.1/os-hypervisors", "/id: ", "a number before 2.53"),
    ("/OS-FEDERATION/mappings", "projects: ", "an expression that a list replaces stands there as a text"),
    ("/v2/images/{image_id}/tasks", "/type: ", "the task that a new location makes"),
    ("/v3/snapshots", "snapshots_links", "the link to the next page, as other lists have it"),
    ("/v3/messages", "messages_links", "the same"),
]


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


def complaints(service: str, method: str, path: str, status: int, version: Version, answer: Any) -> list[str]:
    """What the contract has against the answer of a route, the first few, but for what is excused."""
    validator, found = validator_of(service, method, path, status, version), []
    for error in validator.iter_errors(answer) if validator is not None else ():
        complaint = f"{'/'.join(map(str, error.instance_path))}: {error.message[:300]}"
        if not any(part in f"{method} {path}" and word in complaint for part, word, _ in DIFFERS):
            found.append(complaint)
    return found[:5]


@lru_cache(maxsize=8192)
def validator_of(service: str, method: str, path: str, status: int, version: Version) -> Any:
    """None for what the contract does not describe."""
    schema = fitting(answers(service, method, path) or {}, status)
    if not schema:
        return None
    whole = {"$ref": "#/$defs/it", "$defs": {"it": resolved(service, schema, version)}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=False)


def fitting(responses: dict[str, Any], status: int) -> Any:
    """The schema of this status, or of any good one: files give the status of another operation."""
    own = responses.get(str(status))
    if own and (schema := schema_of(own)):
        return schema
    good = [schema_of(response) for code, response in responses.items() if code < "300"]
    return next((schema for schema in good if schema), None)


def schema_of(response: dict[str, Any]) -> Any:
    return response.get("content", {}).get("application/json", {}).get("schema")


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
