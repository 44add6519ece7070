# SPDX-License-Identifier: Apache-2.0
"""Races of metadata definitions.

What an entry means is ../duel.py; the races of images are image.py.
"""

from __future__ import annotations

from typing import Any

from tests.race.duel import Call, Duel, Ground, name, race

ALL = "/image/v2/metadefs/namespaces"
ROUTE = "/image/v2/metadefs/namespaces/{namespace_name}"
DEFINITION = {"title": "T", "type": "string"}


async def a_namespace(g: Ground, **more: Any) -> str:
    """Its path."""
    body = {
        "namespace": name(), "objects": [{"name": "one"}], "properties": {"one": DEFINITION}, "tags": [{"name": "one"}],
        "resource_type_associations": [{"name": "OS::Glance::Image"}], **more,
    }
    return f"{ALL}/{(await g.admin.post(ALL, body, status=201)).json['namespace']}"


def duel(g: Ground, namespace: str, method: str, part: str, body: Any = None, **more: Any) -> Duel:
    gone = Call(g.admin, "DELETE", namespace)
    return Duel(Call(g.admin, method, namespace + part, body), gone=gone, **more)


@race(f"POST {ALL}")
async def create(g: Ground) -> Duel:
    old = await a_namespace(g)
    one = Call(g.admin, "POST", ALL, {"namespace": name(), "resource_type_associations": [{"name": name()}]})
    return Duel(one, gone=Call(g.admin, "DELETE", old), winners=(1,))


@race(f"PUT {ROUTE}")
async def rename(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "PUT", "", {"namespace": name()}, winners=(1,))


@race(f"DELETE {ROUTE}")
async def delete(g: Ground) -> Duel:
    return Duel(Call(g.admin, "DELETE", await a_namespace(g)), winners=(1,))


@race(f"POST {ROUTE}/objects")
async def add_object(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "POST", "/objects", {"name": "two"}, winners=(1,))


@race(f"PUT {ROUTE}/objects/{{object_name}}")
async def change_object(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "PUT", "/objects/one", {"name": "two"}, winners=(1,))


@race(f"DELETE {ROUTE}/objects/{{object_name}}")
async def drop_object(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "DELETE", "/objects/one", winners=(1,))


@race(f"DELETE {ROUTE}/objects")
async def drop_objects(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "DELETE", "/objects", winners=(2,))


@race(f"POST {ROUTE}/properties")
async def add_property(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "POST", "/properties", {"name": "two", **DEFINITION}, winners=(1,))


@race(f"PUT {ROUTE}/properties/{{property_name}}")
async def change_property(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "PUT", "/properties/one", {"name": "two", **DEFINITION}, winners=(1,))


@race(f"DELETE {ROUTE}/properties/{{property_name}}")
async def drop_property(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "DELETE", "/properties/one", winners=(1,))


@race(f"DELETE {ROUTE}/properties")
async def drop_properties(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "DELETE", "/properties", winners=(2,))


@race(f"POST {ROUTE}/tags")
async def replace_tags(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "POST", "/tags", {"tags": [{"name": "two"}, {"name": "three"}]}, winners=(2,))


@race(f"POST {ROUTE}/tags/{{tag_name}}")
async def add_tag(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "POST", "/tags/two", winners=(1,))


@race(f"PUT {ROUTE}/tags/{{tag_name}}")
async def rename_tag(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "PUT", "/tags/one", {"name": "two"}, winners=(1,))


@race(f"DELETE {ROUTE}/tags/{{tag_name}}")
async def drop_tag(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "DELETE", "/tags/one", winners=(1,))


@race(f"DELETE {ROUTE}/tags")
async def drop_tags(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "DELETE", "/tags", winners=(2,))


@race(f"POST {ROUTE}/resource_types")
async def associate(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "POST", "/resource_types", {"name": name()}, winners=(1,))


@race(f"DELETE {ROUTE}/resource_types/{{resource_type}}")
async def dissociate(g: Ground) -> Duel:
    return duel(g, await a_namespace(g), "DELETE", "/resource_types/OS::Glance::Image", winners=(1,))
