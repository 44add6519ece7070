# SPDX-License-Identifier: Apache-2.0
"""Stories of metadata definitions (GLA-11): an administrator defines, everybody reads.

The definitions that every cloud starts with are tests/unit/image/test_metadefs.py.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.story.image.conftest import House, ImageUser

ALL = "/v2/metadefs/namespaces"
COLOUR = {"title": "Colour", "type": "string", "enum": ["red", "blue"]}


def name() -> str:
    return f"Birds::{uuid.uuid4().hex[:12]}"


async def a_namespace(admin: ImageUser, **more: Any) -> str:
    made = (await admin.post(ALL, {"namespace": name(), **more}, status=201)).json
    return f"{ALL}/{made['namespace']}"


async def test_a_cloud_starts_with_the_well_known_definitions_gla_11(house: House) -> None:
    reader = house.someone("reader")
    first = (await reader.get(ALL, {"limit": 10, "sort_key": "namespace", "sort_dir": "asc"}, status=200)).json
    assert len(first["namespaces"]) == 10 and first["schema"] == "/v2/schemas/metadefs/namespaces"
    rest = (await reader.get(first["next"] + "&limit=1000", status=200)).json
    names = [each["namespace"] for each in [*first["namespaces"], *rest["namespaces"]]]
    assert names == sorted(names) and "OS::Compute::VirtCPUTopology" in names and "next" not in rest
    assert not any("properties" in each for each in first["namespaces"])

    topology = f"{ALL}/OS::Compute::VirtCPUTopology"
    whole = (await reader.get(topology, status=200)).json
    assert whole["protected"] and whole["visibility"] == "public" and "cpu_cores" in whole["properties"]
    as_image = (await reader.get(topology, {"resource_type": "OS::Glance::Image"}, status=200)).json
    assert "hw_cpu_cores" in as_image["properties"]
    as_flavor = f"{topology}/properties/hw:cpu_cores"
    found = (await reader.get(as_flavor, {"resource_type": "OS::Nova::Flavor"}, status=200)).json
    assert found["name"] == "hw:cpu_cores" and found["minimum"] == 1
    await reader.get(f"{topology}/properties/cpu_cores", {"resource_type": "OS::Nova::Flavor"}, status=404)
    types = (await reader.get("/v2/metadefs/resource_types", status=200)).json["resource_types"]
    assert {"OS::Glance::Image", "OS::Nova::Flavor"} <= {each["name"] for each in types}


async def test_what_an_administrator_deleted_does_not_come_back(house: House) -> None:
    admin = house.someone("admin")
    watchdog = f"{ALL}/OS::Compute::Watchdog"
    shown = (await admin.get(watchdog, status=200)).json
    refused = await admin.delete(watchdog, status=403)
    assert "is protected" in refused.json["error"]["message"]
    loosened = {name: shown[name] for name in ("namespace", "display_name", "description", "visibility")}
    await admin.put(watchdog, loosened, status=200)
    await admin.delete(watchdog, status=204)
    house.core.shelf.pop("image.metadefs")
    await admin.get(watchdog, status=404)


async def test_a_namespace_with_everything_in_it_at_once(house: House) -> None:
    admin, reader = house.someone("admin"), house.someone("reader")
    body = {
        "namespace": name(), "display_name": "Birds", "description": "What flies.", "visibility": "public",
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "bird_"}, {"name": "OS::My::Own"}],
        "properties": {"colour": COLOUR},
        "objects": [{"name": "raven", "required": ["size"], "properties": {"size": {"title": "S", "type": "integer"}}}],
        "tags": [{"name": "black"}, {"name": "white"}],
    }
    made = await admin.post(ALL, body, status=201)
    path = f"{ALL}/{body['namespace']}"
    assert made.headers["location"].endswith("/image" + path)
    assert made.json["self"] == path and made.json["owner"] == admin.project_id and made.json["protected"] is False
    shown = (await reader.get(path, {"resource_type": "OS::Glance::Image"}, status=200)).json
    assert shown["properties"] == {"bird_colour": COLOUR}
    assert shown["objects"][0]["required"] == ["bird_size"] and "bird_size" in shown["objects"][0]["properties"]
    assert [each["name"] for each in shown["tags"]] == ["black", "white"]
    assert {each["name"]: each.get("prefix") for each in shown["resource_type_associations"]} == {
        "OS::Glance::Image": "bird_", "OS::My::Own": None,
    }
    meant = (await reader.get(ALL, {"resource_types": "OS::My::Own,OS::Nowhere"}, status=200)).json["namespaces"]
    assert [each["namespace"] for each in meant] == [body["namespace"]]
    await admin.post(ALL, body, status=409)
    await admin.delete(path, status=204)
    await reader.get(path, status=404)


async def test_a_private_namespace_is_its_projects(house: House) -> None:
    admin, stranger = house.someone("admin"), house.someone()
    path = await a_namespace(admin, properties={"colour": COLOUR})
    mine = admin.with_role("reader")
    for each in ("", "/properties", "/properties/colour", "/objects", "/tags", "/resource_types"):
        await mine.get(path + each, status=200)
        await stranger.get(path + each, status=404)
    shown = (await stranger.get(ALL, {"limit": 1000}, status=200)).json["namespaces"]
    assert path not in [each["self"] for each in shown]
    assert not (await stranger.get(ALL, {"visibility": "private"}, status=200)).json["namespaces"]
    assert (await mine.get(ALL, {"visibility": "private"}, status=200)).json["namespaces"]


async def test_only_administrators_define(house: House) -> None:
    admin, member = house.someone("admin"), house.someone("member")
    path = await a_namespace(admin, visibility="public", tags=[{"name": "old"}])
    await member.post(ALL, {"namespace": name()}, status=403)
    await member.put(path, {"namespace": name()}, status=403)
    await member.post(path + "/tags/new", status=403)
    await member.post(path + "/objects", {"name": "new"}, status=403)
    await member.delete(path + "/tags", status=403)
    await member.delete(path, status=403)


async def test_a_namespace_is_renamed_and_loses_what_is_not_told(house: House) -> None:
    admin = house.someone("admin")
    path = await a_namespace(admin, description="What flies.", visibility="public", tags=[{"name": "black"}])
    new, other = name(), await a_namespace(admin)
    changed = (await admin.put(path, {"namespace": new, "display_name": "D"}, status=200)).json
    assert changed["self"] == f"{ALL}/{new}" and "description" not in changed and changed["visibility"] == "private"
    await admin.get(path, status=404)
    assert (await admin.get(f"{ALL}/{new}", status=200)).json["tags"] == [{"name": "black"}]
    await admin.put(f"{ALL}/{new}", {"namespace": other.rpartition("/")[2]}, status=409)


async def test_the_life_of_an_object(house: House) -> None:
    admin = house.someone("admin")
    objects = await a_namespace(admin) + "/objects"
    made = (await admin.post(objects, {"name": "raven", "properties": {"colour": COLOUR}}, status=201)).json
    assert made["self"] == objects + "/raven" and made["schema"] == "/v2/schemas/metadefs/object"
    await admin.post(objects, {"name": "raven"}, status=409)
    await admin.post(objects, {"name": "crow"}, status=201)
    changed = (await admin.put(objects + "/raven", {"name": "rook"}, status=200)).json
    assert changed["name"] == "rook" and changed["properties"] == {}
    await admin.put(objects + "/rook", {"name": "crow"}, status=409)
    await admin.get(objects + "/raven", status=404)
    listed = (await admin.get(objects, {"sort_key": "name", "sort_dir": "asc", "limit": 1}, status=200)).json
    assert [each["name"] for each in listed["objects"]] == ["crow"]
    following = (await admin.get(listed["next"], status=200)).json
    assert [each["name"] for each in following["objects"]] == ["rook"] and "next" not in following
    await admin.delete(objects + "/rook", status=204)
    await admin.delete(objects + "/rook", status=404)
    await admin.delete(objects, status=204)
    assert (await admin.get(objects, status=200)).json["objects"] == []


async def test_the_life_of_a_property(house: House) -> None:
    admin = house.someone("admin")
    properties = await a_namespace(admin) + "/properties"
    made = (await admin.post(properties, {"name": "colour", **COLOUR}, status=201)).json
    assert made == {"name": "colour", **COLOUR}
    await admin.post(properties, {"name": "colour", **COLOUR}, status=409)
    changed = (await admin.put(properties + "/colour", {"name": "hue", **COLOUR, "title": "Hue"}, status=200)).json
    assert changed["title"] == "Hue"
    assert (await admin.get(properties, status=200)).json == {"properties": {"hue": changed}}
    await admin.delete(properties + "/colour", status=404)
    await admin.delete(properties, status=204)
    await admin.get(properties + "/hue", status=404)


async def test_tags_are_replaced_unless_they_are_appended(house: House) -> None:
    admin = house.someone("admin")
    tags = await a_namespace(admin) + "/tags"

    async def names() -> list[str]:
        asked = {"sort_key": "name", "sort_dir": "asc"}
        return [each["name"] for each in (await admin.get(tags, asked, status=200)).json["tags"]]

    def wish(*words: str) -> dict[str, Any]:
        return {"tags": [{"name": word} for word in words]}

    assert (await admin.post(tags, wish("a", "b"), status=201)).json == wish("a", "b")
    await admin.post(tags, wish("c"), headers={"X-Openstack-Append": "True"}, status=201)
    assert await names() == ["a", "b", "c"]
    await admin.post(tags, wish("d", "c"), headers={"X-Openstack-Append": "True"}, status=409)
    await admin.post(tags, wish("d", "d"), status=409)
    await admin.post(tags, wish("d"), headers={"X-Openstack-Append": "maybe"}, status=400)
    assert await names() == ["a", "b", "c"]
    await admin.post(tags, wish("x"), status=201)
    made = (await admin.post(tags + "/y", status=201)).json
    assert made["name"] == "y" and made["created_at"]
    await admin.post(tags + "/y", status=409)
    assert (await admin.put(tags + "/y", {"name": "z"}, status=200)).json["name"] == "z"
    await admin.put(tags + "/z", {"name": "x"}, status=409)
    assert await names() == ["x", "z"]
    await admin.delete(tags + "/z", status=204)
    await admin.get(tags + "/z", status=404)
    await admin.delete(tags, status=204)
    assert await names() == []


async def test_a_namespace_is_associated_with_types(house: House) -> None:
    admin = house.someone("admin")
    types = await a_namespace(admin) + "/resource_types"
    made = (await admin.post(types, {"name": "OS::A::New", "prefix": "p_", "properties_target": "t"}, status=201)).json
    assert made["prefix"] == "p_" and made["properties_target"] == "t"
    await admin.post(types, {"name": "OS::A::New"}, status=409)
    assert [each["name"] for each in (await admin.get(types, status=200)).json["resource_type_associations"]] == [
        "OS::A::New"
    ]
    known = (await admin.get("/v2/metadefs/resource_types", status=200)).json["resource_types"]
    assert "OS::A::New" in [each["name"] for each in known]
    await admin.delete(types + "/OS::A::New", status=204)
    await admin.delete(types + "/OS::A::New", status=404)


async def test_nothing_leaves_a_protected_namespace(house: House) -> None:
    admin = house.someone("admin")
    path = await a_namespace(
        admin, protected=True, properties={"colour": COLOUR}, objects=[{"name": "raven"}], tags=[{"name": "black"}],
        resource_type_associations=[{"name": "OS::Glance::Image"}],
    )
    for each in ("", "/properties", "/properties/colour", "/objects", "/objects/raven", "/tags", "/tags/black",
                 "/resource_types/OS::Glance::Image"):
        await admin.delete(path + each, status=403)
    await admin.post(path + "/tags/more", status=201)


@pytest.mark.parametrize("body", [
    {}, [], {"namespace": ""}, {"namespace": "n" * 81}, {"namespace": 1}, {"namespace": "n", "visibility": "shared"},
    {"namespace": "n", "description": "d" * 501}, {"namespace": "n", "colour": "blue"},
    {"namespace": "n", "properties": {"p": {"type": "string"}}},
    {"namespace": "n", "properties": {"p": {"title": "T", "type": "float"}}},
    {"namespace": "n", "properties": {"p" * 81: {"title": "T", "type": "string"}}},
    {"namespace": "n", "objects": [{"properties": {}}]}, {"namespace": "n", "tags": ["black"]},
    {"namespace": "n", "resource_type_associations": [{"prefix": "p"}]}, {"namespace": "a\0b"},
])
async def test_nonsense_is_refused(house: House, body: Any) -> None:
    await house.someone("admin").post(ALL, body, status=400)


async def test_what_is_ours_to_say_is_forbidden(house: House) -> None:
    admin = house.someone("admin")
    await admin.post(ALL, {"namespace": name(), "created_at": "2020-01-01T00:00:00Z"}, status=403)
    await admin.post(await a_namespace(admin) + "/objects", {"name": "o", "self": "/x"}, status=403)
    for query in ({"limit": "x"}, {"limit": -1}, {"sort_key": "colour"}, {"sort_dir": "up"}, {"visibility": "shared"},
                  {"marker": "nothing"}):
        await admin.get(ALL, query, status=400)


@pytest.mark.parametrize(("path", "named"), [
    ("namespace", "namespace"), ("namespaces", "namespaces"), ("object", "object"), ("objects", "objects"),
    ("property", "property"), ("properties", "properties"), ("tag", "tag"), ("tags", "tags"),
    ("resource_type", "resource_type_association"), ("resource_types", "resource_type_associations"),
])
async def test_schemas_are_told(house: House, path: str, named: str) -> None:
    schema = (await house.someone("reader").get(f"/v2/schemas/metadefs/{path}", status=200)).json
    assert schema["name"] == named and schema["properties"]
