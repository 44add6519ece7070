# SPDX-License-Identifier: Apache-2.0
"""Stories of protected properties (GLA-07): some only certain roles set, some only certain roles see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.story.image.conftest import House, start_house

BY_ROLES = """
[^x_owner_.*]
create = admin,member
read = admin,member
update = admin,member
delete = admin,member

[^x_licence$]
create = admin
read = @
update = admin
delete = admin

[^x_secret$]
create = admin
read = admin
update = admin
delete = admin

[^x_frozen$]
create = @
read = @

[^free_]
create = @
read = @
update = @
delete = @
"""
BY_POLICIES = """
[^x_licence$]
create = rule:admin
read = project_reader_or_admin
update = admin
delete = !

[.*]
create = @
read = @
update = @
delete = @
"""


@pytest_asyncio.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "property-protections-roles.conf").write_text(BY_ROLES)
    made = await start_house(tmp_path)
    yield made
    await made.core.stop()


def add(name: str, value: str = "v") -> dict[str, str]:
    return {"op": "add", "path": f"/{name}", "value": value}


def remove(name: str) -> dict[str, str]:
    return {"op": "remove", "path": f"/{name}"}


async def test_who_may_not_create_a_property_is_refused_gla_07(guarded: House) -> None:
    me = guarded.someone()
    admins = "to create it needs role admin"
    for name, needs in (("x_licence", admins), ("x_secret", admins), ("unheard_of", "nobody may create it")):
        refused = await me.post("/v2/images", {name: "v"}, status=403)
        assert f"Property {name} is protected: {needs}; your roles are " in refused.json["error"]["message"]
    image = await me.image(free_one="1", x_owner_word="2")
    await me.change(image["id"], add("x_licence"), status=403)
    await me.change(image["id"], add("free_two"), status=200)
    await me.with_role("admin").change(image["id"], add("x_licence"), status=200)
    assert (await me.look(image["id"]))["x_licence"] == "v"


async def test_who_may_not_change_a_property_sees_it_and_keeps_it(guarded: House) -> None:
    me = guarded.someone()
    admin = me.with_role("admin")
    image = await admin.image(x_licence="gpl")
    for change in (add("x_licence", "mine"), {**add("x_licence"), "op": "replace"}, remove("x_licence")):
        await me.change(image["id"], change, status=403)
    assert (await me.look(image["id"]))["x_licence"] == "gpl"
    await admin.change(image["id"], remove("x_licence"), status=200)
    frozen = await me.image(x_frozen="once")
    await me.change(frozen["id"], add("x_frozen", "twice"), status=403)
    await me.change(frozen["id"], remove("x_frozen"), status=403)


async def test_what_may_not_be_read_is_as_if_it_were_not_there(guarded: House) -> None:
    me = guarded.someone()
    admin = me.with_role("admin")
    image = await admin.image(x_secret="s", free_one="1")
    assert image["x_secret"] == "s"
    assert "x_secret" not in await me.look(image["id"])
    listed = (await me.get("/v2/images", status=200)).json["images"]
    assert listed[0]["free_one"] == "1" and "x_secret" not in listed[0]
    for change in (remove("x_secret"), {**add("x_secret"), "op": "replace"}):
        refused = await me.change(image["id"], change, status=409)
        assert "does not exist" in refused.json["error"]["message"]
    changed = (await me.change(image["id"], add("free_two"), status=200)).json
    assert "x_secret" not in changed and changed["free_two"] == "v"
    assert (await admin.look(image["id"]))["x_secret"] == "s", "a change by who doesn't see it leaves it"


async def test_what_may_not_be_read_can_not_be_searched_by(guarded: House) -> None:
    me = guarded.someone()
    await me.with_role("admin").image(name="hidden", x_secret="s", x_licence="gpl")
    assert await me.names(x_licence="gpl") == ["hidden"]
    assert await me.names(x_secret="s") == []
    assert await me.with_role("admin").names(x_secret="s") == ["hidden"]


async def test_policies_protect_as_roles_do(tmp_path: Path) -> None:
    (tmp_path / "property-protections-policies.conf").write_text(BY_POLICIES)
    house = await start_house(tmp_path)
    try:
        me = house.someone()
        admin = me.with_role("admin")
        refused = await me.post("/v2/images", {"x_licence": "v"}, status=403)
        assert "needs rule admin; your roles are" in refused.json["error"]["message"]
        image = await admin.image(x_licence="gpl", visibility="community")
        assert (await me.look(image["id"]))["x_licence"] == "gpl"
        assert "x_licence" not in await house.someone().look(image["id"])
        await admin.change(image["id"], add("x_licence", "mit"), status=200)
        await admin.change(image["id"], remove("x_licence"), status=403)
        await me.image(anything="goes")
    finally:
        await house.core.stop()


@pytest.mark.parametrize(("name", "content"), [
    ("roles", "[(]\nread = @\n"), ("roles", "[x]\nlook = @\n"), ("roles", "[x]\nread = @, admin\n"),
    ("roles", "[x]\nread =\n"), ("roles", "read = @"), ("roles", "[x]\nread=@\n[x]\nread=!\n"),
    ("policies", "[x]\nread = no such thing\n"),
])
async def test_a_file_that_can_not_be_understood_stops_the_program(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / f"property-protections-{name}.conf"
    path.write_text(content)
    with pytest.raises(ValueError, match=path.name):
        await start_house(tmp_path)
    path.rename(tmp_path / "elsewhere")


async def test_two_files_are_one_too_many(tmp_path: Path) -> None:
    for name in ("roles", "policies"):
        (tmp_path / f"property-protections-{name}.conf").write_text("[x]\nread = @\n")
    with pytest.raises(ValueError, match="both"):
        await start_house(tmp_path)
