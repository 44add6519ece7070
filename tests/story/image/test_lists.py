# SPDX-License-Identifier: Apache-2.0
"""Stories of listing images (GLA-06): filters, operators, sorting, pages; schemas and discovery.

How parameters are read is tests/unit/image/test_listing.py.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from skyhold.core.context import internal
from tests.story.image.conftest import House


async def test_images_are_filtered_gla_06(house: House) -> None:
    me = house.someone()
    await me.image(b"12345", name="small", tags=["t", "u"], os_distro="debian")
    await me.image(b"1234567890", name="large, really", tags=["t"], os_distro="debian", hw_disk_bus="virtio")
    await me.image(name="queued", min_ram=64, protected=True)
    await me.image(name="hidden", os_hidden=True)
    assert await me.names() == ["queued", "large, really", "small"]
    assert await me.names(name="small") == ["small"]
    assert await me.names(name='in:small,"large, really"') == ["large, really", "small"]
    assert await me.names(status="queued") == ["queued"]
    assert await me.names(status="in:active,saving") == ["large, really", "small"]
    assert await me.names(tag="t") == ["large, really", "small"]
    assert await me.names(tag=["t", "u"]) == ["small"]
    assert await me.names(os_distro="debian") == ["large, really", "small"]
    assert await me.names(os_distro="debian", hw_disk_bus="virtio") == ["large, really"]
    assert await me.names(os_distro="nonesuch") == []
    assert await me.names(size_min=6) == ["large, really"]
    assert await me.names(size_max=6) == ["small"]
    assert await me.names(size_min=5, size_max=10) == ["large, really", "small"]
    assert await me.names(min_ram=64) == ["queued"] and await me.names(protected="true") == ["queued"]
    assert await me.names(os_hidden="true") == ["hidden"]
    assert await me.names(owner=me.project_id, limit=1) == ["queued"]
    assert await me.names(owner="somebody") == []
    assert await me.names(visibility="private") == []


async def test_times_are_compared(house: House) -> None:
    me = house.someone()
    image = await me.image(name="it")
    at = image["created_at"]
    for op, found in {"eq": True, "gte": True, "lte": True, "gt": False, "lt": False, "neq": False}.items():
        assert await me.names(created_at=f"{op}:{at}") == (["it"] if found else []), op
    assert await me.names(created_at=at) == ["it"]
    assert await me.names(updated_at="gt:2000-01-01T00:00:00Z") == ["it"]
    assert await me.names(updated_at="lt:2000-01-01T00:00:00Z") == []


async def test_images_are_sorted(house: House) -> None:
    me = house.someone()
    for name, content in (("b", b"1"), ("a", b"22"), ("c", b"1")):
        await me.image(content, name=name)
    assert await me.names() == ["c", "a", "b"]
    assert await me.names(sort="name:asc") == ["a", "b", "c"]
    assert await me.names(sort="name") == ["c", "b", "a"]
    assert await me.names(sort="size:asc,name:desc") == ["c", "b", "a"]
    assert await me.names(sort_key="name", sort_dir="asc") == ["a", "b", "c"]
    assert await me.names(sort_key=["size", "name"], sort_dir=["desc", "asc"]) == ["a", "b", "c"]
    assert await me.names(sort_key="created_at", sort_dir="asc") == ["b", "a", "c"]


async def test_pages_link_to_one_another(house: House) -> None:
    me = house.someone()
    for number in range(5):
        await me.image(name=f"i{number}", kind="x")
    path, seen, pages = "/v2/images?limit=2&sort=name:asc&kind=x", [], 0
    while path:
        page = (await me.get(path, status=200)).json
        seen += [image["name"] for image in page["images"]]
        assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc&kind=x"
        path, pages = page.get("next"), pages + 1
        assert path is None or "marker" in parse_qs(path.partition("?")[2])
    assert seen == ["i0", "i1", "i2", "i3", "i4"] and pages == 3
    assert (await me.get("/v2/images?limit=0", status=200)).json["images"] == []


async def test_a_page_has_25_images_unless_asked_otherwise(house: House) -> None:
    me = house.someone()
    for _ in range(26):
        await me.image()
    assert len(await me.names()) == 25 and len(await me.names(limit=5000)) == 26


@pytest.mark.parametrize("query", [
    {"limit": "-1"}, {"limit": "x"}, {"marker": "7f9b2c3e-0000-4000-8000-00000000dead"}, {"sort_key": "weight"},
    {"sort": "name:up"}, {"sort": "name:asc", "sort_dir": "asc"}, {"sort_key": "name", "sort_dir": "sideways"},
    {"sort_key": "name", "sort_dir": ["asc", "desc"]}, {"visibility": "secret"}, {"status": "happy"},
    {"member_status": "x"}, {"size_min": "big"}, {"size_max": "-1"}, {"created_at": "gt:yesterday"},
    {"updated_at": "nonsense"}, {"os_hidden": "perhaps"}, {"tag": "x" * 256}, {"name": 'in:"open'},
    {"min_ram": "9" * 30},
])
async def test_a_parameter_that_means_nothing_is_400(house: House, query: dict[str, Any]) -> None:
    refused = await house.someone().get("/v2/images", query, status=400)
    assert refused.json["error"]["message"]


async def test_an_administrator_lists_everything_but_others_community_images(house: House) -> None:
    me, admin = house.someone(), house.someone("admin")
    await me.image(name="private", visibility="private")
    await me.image(name="community", visibility="community")
    assert await admin.names() == ["private"]
    assert await admin.names(visibility="all") == ["community", "private"]
    assert await admin.names(owner=me.project_id, visibility="private") == ["private"]


async def test_a_list_costs_the_same_however_long(house: House) -> None:
    from skyhold.image.images import ops
    from skyhold.image.logic.listing import listing

    me = house.someone()
    counts = []
    for _ in range(3):
        await me.image(tags=["a"], colour="red")
        ctx = internal(house.core)
        counts.append(await ctx.read(lambda tx, ctx: (ops.list_page(tx, ctx, listing({"tag": ["a"]})), tx.queries)[1]))
    assert counts == [1, 1, 1]


async def test_versions_are_announced_without_a_token(house: House) -> None:
    nobody = house.someone()
    nobody.token = None
    root = await nobody.get("/", status=300)
    assert (await nobody.get("/versions", status=200)).json == root.json
    versions = root.json["versions"]
    assert [each["id"] for each in versions if each["status"] == "CURRENT"] == [versions[0]["id"]]
    assert versions[-1]["id"] == "v2.0" and versions[0]["links"][0]["href"].endswith("/image/v2/")
    refused = await nobody.get("/v2/images", status=401)
    assert refused.headers["www-authenticate"].startswith("Keystone uri=")


@pytest.mark.parametrize("name", ["image", "images", "member", "members"])
async def test_schemas_describe_what_is_answered(house: House, name: str) -> None:
    import jsonschema_rs

    me = house.someone()
    image = await me.image(b"x", colour="red")
    await me.post(f"/v2/images/{image['id']}/members", {"member": "friend"}, status=200)
    paths = {
        "image": f"/v2/images/{image['id']}", "images": "/v2/images",
        "members": f"/v2/images/{image['id']}/members", "member": f"/v2/images/{image['id']}/members/friend",
    }
    schema = (await me.get(f"/v2/schemas/{name}", status=200)).json
    assert schema["name"] == name
    answer = (await me.get(paths[name], status=200)).json
    jsonschema_rs.Draft4Validator(schema).validate(answer)
    assert set(answer) - {"colour"} <= set(schema["properties"])


async def test_the_cloud_tells_its_store_and_how_it_imports(house: House) -> None:
    me = house.someone()
    told = (await me.get("/v2/info/stores", status=200)).json["stores"]
    assert told == [{"id": "file", "description": "", "weight": 0, "default": "true"}]
    methods = (await me.get("/v2/info/import", status=200)).json["import-methods"]["value"]
    assert methods == ["glance-direct", "web-download", "copy-image", "glance-download"]
    await me.get("/v2/info/stores/detail", status=403)
    detail = (await house.someone("admin").get("/v2/info/stores/detail", status=200)).json["stores"][0]
    assert detail["type"] == "file" and detail["properties"]["data_dir"]


async def test_unknown_paths_and_methods_answer_in_the_dialect(house: House) -> None:
    me = house.someone()
    assert (await me.get("/v2/nothing", status=404)).json["error"]["code"] == 404
    assert "GET" in (await me.delete("/v2/images", status=405)).headers["allow"]


async def test_an_image_without_an_id_is_no_list(house: House) -> None:
    me = house.someone()
    assert (await me.get("/v2/images/")).status == 404
    assert (await me.delete("/v2/images/")).status == 404
