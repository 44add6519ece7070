# SPDX-License-Identifier: Apache-2.0
"""Stories of imports (GLA-04): staged content, the web, copies between stores, and what is done on the way (GLA-13).

What happens when an import is killed at any step is tests/sagas; another image service is
tests/story/compute/test_glance_download.py, because it takes a whole cloud.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import os
import subprocess
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from skyhold.core.blobs.file import FileWriter
from skyhold.core.settings.sections import Image, Outbound
from skyhold.image import blobs
from skyhold.image.drivers.fake import FakeStore
from skyhold.image.imports import staged as staged_bytes
from skyhold.image.sagas import import_image
from tests.kit.patience import PATIENCE_S, until
from tests.story.image.conftest import House, ImageUser, aborted_after, start_house

CONTENT = bytes(range(256)) * 3000


async def imported(house: House, who: ImageUser, image_id: str, method: Any, status: int = 202, **more: Any) -> Any:
    body = {"method": method if isinstance(method, dict) else {"name": method}, **more}
    answer = await who.post(f"/v2/images/{image_id}/import", body, status=status)
    await quiet(house)
    return answer


async def quiet(house: House) -> None:
    assert await house.core.sagas.idle()
    await asyncio.gather(*blobs.DISCARDING)


async def staged(me: ImageUser, content: bytes = CONTENT, **attributes: Any) -> dict[str, Any]:
    image = await me.image(**attributes)
    await me.put(f"/v2/images/{image['id']}/stage", content, content_type="application/octet-stream", status=204)
    return await me.look(image["id"])


async def task_of(me: ImageUser, image_id: str) -> dict[str, Any]:
    (task,) = (await me.get(f"/v2/images/{image_id}/tasks", status=200)).json["tasks"]
    return task


@pytest_asyncio.fixture
async def site() -> AsyncIterator[str]:
    """A web server of its own, with content under /disk and nothing under other names."""
    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_length = len(CONTENT)
        await answer.prepare(request)
        await answer.write(CONTENT[:1000])
        await asyncio.sleep(60)
        return answer

    async def short(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
        await answer.prepare(request)
        await answer.write(CONTENT[:1000])
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def disk(request: web.Request) -> web.StreamResponse:
        return web.Response(body=CONTENT)

    async def inside(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/secret"})

    app = web.Application()
    app.router.add_get("/disk", disk)
    app.router.add_get("/slow", slow)
    app.router.add_get("/short", short)
    app.router.add_get("/inside", inside)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[House]:
    """One that may fetch from this machine."""
    made = await start_house(tmp_path, outbound=Outbound(allow=["127.0.0.0/8"]))
    yield made
    await made.core.stop()


# ---- staged ----------------------------------------------------------------------------------


async def test_staged_content_is_imported_gla_04(house: House) -> None:
    me = house.someone()
    image = await staged(me)
    assert image["status"] == "uploading" and image["size"] is None and "stores" not in image
    assert (await me.get(f"/v2/images/{image['id']}/file", status=204)).body == b""
    answer = await imported(house, me, image["id"], "glance-direct")
    image = await me.look(image["id"])
    assert image["status"] == "active" and image["stores"] == "file" and image["size"] == len(CONTENT)
    assert image["os_glance_importing_to_stores"] == image["os_glance_failed_import"] == ""
    assert "os_glance_import_task" not in image
    assert (await me.get(f"/v2/images/{image['id']}/file")).body == CONTENT
    assert len(house.files) == 1
    task = await task_of(me, image["id"])
    assert task["status"] == "success" and task["type"] == "api_image_import" and task["image_id"] == image["id"]
    assert task["request_id"] == answer.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"]["name"] == "glance-direct"
    assert task["owner"] == me.project_id and task["expires_at"] > task["created_at"]


async def test_what_is_staged_needs_an_import_and_an_import_needs_staging(house: House) -> None:
    me = house.someone()
    image = await me.image()
    await imported(house, me, image["id"], "glance-direct", status=409)
    image = await staged(me)
    await me.put(f"/v2/images/{image['id']}/stage", b"x", content_type="application/octet-stream", status=409)
    await me.upload(image["id"], b"x", status=409)
    await imported(house, me, image["id"], "web-download", status=400)
    await imported(house, me, image["id"], {"name": "web-download", "uri": "http://192.0.2.1.example/x"}, status=409)
    await me.delete(f"/v2/images/{image['id']}", status=204)
    assert house.files == []


@pytest.mark.parametrize("body", [
    {}, {"method": "glance-direct"}, {"method": {}}, {"method": {"name": "magic"}}, {"method": {"name": 7}},
    {"method": {"name": "glance-direct"}, "stores": ["file"], "all_stores": True},
    {"method": {"name": "glance-direct"}, "stores": "file"}, {"method": {"name": "glance-direct"}, "stores": [None]},
    {"method": {"name": "web-download"}}, {"method": {"name": "web-download", "uri": "file:///etc/passwd"}},
    {"method": {"name": "web-download", "uri": "http://127.0.0.1/x"}},
    {"method": {"name": "glance-download"}},
    {"method": {"name": "glance-download", "glance_region": "R", "glance_image_id": "foo"}},
])
async def test_an_import_that_cannot_be_meant_is_refused(house: House, body: Any) -> None:
    me = house.someone()
    image = await staged(me)
    refused = await me.post(f"/v2/images/{image['id']}/import", body, status=400)
    assert refused.json["error"]["message"]
    assert (await me.look(image["id"]))["status"] == "uploading"


async def test_an_unknown_store_is_a_conflict_as_upstream(house: House) -> None:
    me = house.someone()
    image = await staged(me)
    await imported(house, me, image["id"], "glance-direct", status=409, stores=["tape"])


async def test_staged_content_is_believed_only_after_inspection(house: House) -> None:
    me = house.someone()
    image = await staged(me, b"this is no qcow2 image" * 100, disk_format="qcow2")
    await imported(house, me, image["id"], "glance-direct")
    image = await me.look(image["id"])
    assert image["status"] == "queued" and image["os_glance_failed_import"] == "file" and house.files == []
    task = await task_of(me, image["id"])
    assert task["status"] == "failure" and "said to be qcow2" in task["message"]
    await me.upload(image["id"], b"still none", status=415)


async def test_an_import_into_all_stores_gla_08(house: House) -> None:
    me, first, second = house.someone(), FakeStore(name="first"), FakeStore(name="second")
    house.keep_in(first, second)
    image = await staged(me)
    await imported(house, me, image["id"], "glance-direct", all_stores=True)
    assert (await me.look(image["id"]))["stores"] == "first,second"
    assert len(first.keys()) == len(second.keys()) == 1 and house.files == []


async def test_all_stores_must_succeed_unless_told_otherwise(house: House) -> None:
    me, first, full = house.someone(), FakeStore(name="first"), FakeStore(name="full", capacity_bytes=10)
    house.keep_in(first, full)
    image = await staged(me)
    await imported(house, me, image["id"], "glance-direct", all_stores=True)
    shown = await me.look(image["id"])
    assert shown["status"] == "queued" and shown["os_glance_failed_import"] == "first,full"
    assert "full" in (await task_of(me, image["id"]))["message"] and first.keys() == [] and house.files == []

    image = await staged(me)
    await imported(house, me, image["id"], "glance-direct", all_stores=True, all_stores_must_succeed=False)
    shown = await me.look(image["id"])
    assert shown["status"] == "active" and shown["stores"] == "first" and shown["os_glance_failed_import"] == "full"

    image = await staged(me)
    await imported(house, me, image["id"], "glance-direct", stores=["full"], all_stores_must_succeed=False)
    assert (await me.look(image["id"]))["status"] == "queued" and full.keys() == []


# ---- copies ----------------------------------------------------------------------------------


async def test_a_copy_into_more_stores_is_the_administrators(house: House) -> None:
    me, admin, first, second = house.someone(), house.someone("admin"), FakeStore(name="first"), FakeStore(name="b")
    house.keep_in(first, second)
    image = await me.image(CONTENT)
    await imported(house, me, image["id"], "copy-image", status=403, stores=["b"])
    await imported(house, admin, image["id"], "copy-image", all_stores=True)
    shown = await me.look(image["id"])
    assert shown["stores"] == "first,b" and shown["os_glance_importing_to_stores"] == ""
    await imported(house, admin, image["id"], "copy-image", status=409, stores=["b"])
    queued = await me.image()
    await imported(house, admin, queued["id"], "copy-image", status=409, stores=["b"])


async def test_a_copy_that_fails_leaves_the_image_as_it_was(house: House) -> None:
    me, admin, first, full = house.someone(), house.someone("admin"), FakeStore(name="a"), FakeStore(10, name="b")
    house.keep_in(first, full)
    image = await me.image(CONTENT)
    await imported(house, admin, image["id"], "copy-image", stores=["b"])
    shown = await me.look(image["id"])
    assert shown["status"] == "active" and shown["stores"] == "a" and shown["os_glance_failed_import"] == "b"


# ---- the web ---------------------------------------------------------------------------------


async def test_content_comes_from_the_web(open_house: House, site: str) -> None:
    me = open_house.someone()
    image = await me.image()
    await imported(open_house, me, image["id"], {"name": "web-download", "uri": site + "/disk"})
    shown = await me.look(image["id"])
    assert shown["status"] == "active" and (await me.get(f"/v2/images/{image['id']}/file")).body == CONTENT


@pytest.mark.parametrize(("path", "said"), [
    ("/nothing", "404"), ("/inside", "169.254.169.254"), ("/short", "broke off"),
])
async def test_a_web_download_that_fails_queues_the_image_again(
    open_house: House, site: str, path: str, said: str
) -> None:
    me = open_house.someone()
    image = await me.image(colour="red")
    await imported(open_house, me, image["id"], {"name": "web-download", "uri": site + path})
    shown = await me.look(image["id"])
    assert shown["status"] == "queued" and shown["colour"] == "red" and open_house.files == []
    task = await task_of(me, image["id"])
    assert task["status"] == "failure" and said in task["message"]


async def test_the_secret_of_a_signed_url_is_told_to_its_user_alone(
    open_house: House, site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    me = open_house.someone()
    image = await me.image()
    uri = f"{site}/gone?X-Amz-Signature=0123456789abcdef"
    await imported(open_house, me, image["id"], {"name": "web-download", "uri": uri})
    assert uri in (await task_of(me, image["id"]))["message"]
    logged = capsys.readouterr().err
    assert "saga aborts" in logged and "/gone?***" in logged and "0123456789abcdef" not in logged


@pytest.mark.parametrize("method", ["glance-direct", "copy-image"])
async def test_an_import_aborted_when_it_was_done_has_succeeded(
    house: House, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The operator's word came between the last step and the saga's end: the content is there, and the task says so."""
    aborted_after(monkeypatch, import_image, "activate")
    me, admin = house.someone(), house.someone("admin")
    house.keep_in(FakeStore(name="a"), FakeStore(name="b"))
    image = await staged(me) if method == "glance-direct" else await me.image(CONTENT)
    await imported(house, admin, image["id"], method, all_stores=True)
    shown = await me.look(image["id"])
    assert (shown["status"], shown["stores"], shown["os_glance_failed_import"]) == ("active", "a,b", "")
    assert (await task_of(me, image["id"]))["status"] == "success"
    assert (await me.get(f"/v2/images/{image['id']}/file")).body == CONTENT


async def test_an_image_deleted_during_its_import_takes_everything_with_it(open_house: House, site: str) -> None:
    me = open_house.someone()
    image = await me.image()
    body = {"method": {"name": "web-download", "uri": site + "/slow"}}
    await me.post(f"/v2/images/{image['id']}/import", body, status=202)
    await until(lambda: open_house.files, "the first bytes of the import")
    assert (await me.look(image["id"]))["os_glance_import_task"]
    await me.delete(f"/v2/images/{image['id']}", status=204)
    await open_house.core.sagas.stop()
    await open_house.core.sagas.start()
    await quiet(open_house)
    await asyncio.gather(*blobs.DISCARDING)
    assert open_house.files == []


async def test_a_repeated_step_leaves_no_bytes_of_its_first_try(
    open_house: House, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process can't take its half-written file away: the next attempt does, without waiting for a sweep."""
    me = open_house.someone()
    image = await me.image()
    with monkeypatch.context() as killed:
        killed.setattr(FileWriter, "abort", lambda writer: None)
        body = {"method": {"name": "web-download", "uri": site + "/slow"}}
        await me.post(f"/v2/images/{image['id']}/import", body, status=202)
        await until(lambda: open_house.files, "the first bytes of the import")
        (left,) = open_house.files
        await open_house.core.sagas.stop()
    await open_house.core.sagas.start()
    await until(lambda: open_house.files and left not in open_house.files, "the bytes of the second try alone")
    await me.delete(f"/v2/images/{image['id']}", status=204)
    await open_house.core.sagas.stop()
    await open_house.core.sagas.start()
    await quiet(open_house)
    await asyncio.gather(*blobs.DISCARDING)
    assert open_house.files == []


# ---- plug-ins --------------------------------------------------------------------------------


def zipped(*contents: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, each in enumerate(contents):
            archive.writestr(f"disk-{i}", each)
    return target.getvalue()


async def with_plugins(tmp_path: Path, *plugins: str, **settings: Any) -> House:
    return await start_house(tmp_path, image=Image(import_plugins=list(plugins), **settings))


@pytest.mark.parametrize("packed", [
    gzip.compress(CONTENT), bz2.compress(CONTENT), lzma.compress(CONTENT), zipped(CONTENT),
    gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]), CONTENT,
], ids=["gzip", "bzip2", "xz", "zip", "two-streams", "plain"])
async def test_compressed_content_is_unpacked_gla_13(tmp_path: Path, packed: bytes) -> None:
    house = await with_plugins(tmp_path, "image_decompression", "inject_image_metadata",
                               inject_properties=["os_origin:web", "empty:"])
    try:
        me = house.someone()
        image = await staged(me, packed)
        await imported(house, me, image["id"], "glance-direct")
        shown = await me.look(image["id"])
        assert shown["status"] == "active" and shown["size"] == len(CONTENT), await task_of(me, image["id"])
        assert shown["os_origin"] == "web" and shown["empty"] == ""
        assert (await me.get(f"/v2/images/{image['id']}/file")).body == CONTENT and len(house.files) == 1
    finally:
        await house.core.stop()


@pytest.mark.parametrize(("packed", "said"), [
    (gzip.compress(bytes(5_000_000)), "too large"), (bz2.compress(bytes(5_000_000)), "too large"),
    (lzma.compress(bytes(5_000_000)), "too large"), (zipped(bytes(5_000_000)), "too large"),
    (gzip.compress(CONTENT)[:-20], "unpacked"), (zipped(b"a", b"b"), "exactly one"),
    (lzma.compress(os.urandom(5000))[:4000], "unpacked"),
])
async def test_bombs_and_broken_archives_are_refused(tmp_path: Path, packed: bytes, said: str) -> None:
    house = await with_plugins(tmp_path, "image_decompression", size_limit_bytes=1_000_000)
    try:
        me = house.someone()
        image = await staged(me, packed)
        await imported(house, me, image["id"], "glance-direct")
        assert (await me.look(image["id"]))["status"] == "queued" and house.files == []
        assert said in (await task_of(me, image["id"]))["message"]
    finally:
        await house.core.stop()


# ---- tasks -----------------------------------------------------------------------------------


async def test_the_tasks_api_imports_too_and_is_the_administrators_gla_10(open_house: House, site: str) -> None:
    me, admin = open_house.someone(), open_house.someone("admin")
    wish = {"type": "import", "input": {
        "import_from": site + "/disk", "import_from_format": "raw",
        "image_properties": {"name": "by task", "disk_format": "raw", "container_format": "bare", "colour": "red"},
    }}
    await me.post("/v2/tasks", wish, status=403)
    made = (await admin.post("/v2/tasks", wish, status=201)).json
    assert made["status"] == "pending" and made["type"] == "import"
    assert await open_house.core.sagas.idle()
    task = (await admin.get(f"/v2/tasks/{made['id']}", status=200)).json
    image = await admin.look(task["result"]["image_id"])
    assert task["status"] == "success" and image["status"] == "active" and image["colour"] == "red"
    listed = (await admin.get("/v2/tasks", {"status": "success", "limit": 1}, status=200)).json
    assert [each["id"] for each in listed["tasks"]] == [made["id"]] and "marker=" in listed["next"]
    assert (await admin.get(listed["next"])).json["tasks"] == []
    await me.get(f"/v2/tasks/{made['id']}", status=403)
    await admin.delete(f"/v2/tasks/{made['id']}", status=204)
    await admin.get(f"/v2/tasks/{made['id']}", status=404)


@pytest.mark.parametrize("wish", [
    {}, {"type": "export", "input": {}}, {"type": "import", "input": {}}, {"type": "import"},
    {"type": "import", "input": {"import_from": 1, "import_from_format": "raw", "image_properties": {"name": "x"}}},
    *({"type": "import", "input": {"import_from": uri, "import_from_format": kind, "image_properties": {"a": "b"}}}
      for uri, kind in (("ftp://x", "raw"), ("http://x", "tape"))),
])
async def test_a_task_that_cannot_be_meant_is_refused(house: House, wish: Any) -> None:
    await house.someone("admin").post("/v2/tasks", wish, status=400)


# ---- conversion ------------------------------------------------------------------------------


def qcow2(tmp_path: Path, *more: str) -> bytes:
    """Made by qemu-img itself: 3 MiB of disk with a pattern in it."""
    raw, made = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    raw.write_bytes(DISK)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *more, raw, made], check=True)
    return made.read_bytes()


DISK = bytes(1 << 20) + CONTENT[: 1 << 19] + bytes(3 << 19)


async def test_imports_are_converted_to_the_stores_format_gla_13(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    house = await with_plugins(tmp_path / "home", "image_decompression", "image_conversion")
    try:
        me = house.someone()
        image = await staged(me, gzip.compress(qcow2(tmp_path)), disk_format="qcow2")
        await imported(house, me, image["id"], "glance-direct")
        shown = await me.look(image["id"])
        assert shown["status"] == "active" and shown["disk_format"] == "raw", await task_of(me, image["id"])
        assert (await me.get(f"/v2/images/{image['id']}/file")).body == DISK and len(house.files) == 1
        assert house.files[0].stat().st_uid == os.geteuid() and house.files[0].stat().st_mode & 0o777 == 0o600
        plain = await staged(me, CONTENT)
        await imported(house, me, plain["id"], "glance-direct")
        assert (await me.get(f"/v2/images/{plain['id']}/file")).body == CONTENT
    finally:
        await house.core.stop()


async def test_a_conversion_that_was_killed_leaves_no_workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is in it too, by another name, and no sweep of the stores looks there."""
    from skyhold.image.imports import conversion

    begun = asyncio.Event()

    async def killed(*told: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def dead(*told: Any) -> None:
        """Whoever was killed clears nothing away."""

    (tmp_path / "home").mkdir()
    house = await with_plugins(tmp_path / "home", "image_conversion")
    workshops = house.core.settings.image_workshop_dir
    try:
        me = house.someone()
        image = await staged(me, qcow2(tmp_path), disk_format="qcow2")
        with monkeypatch.context() as patch:
            patch.setattr(conversion, "convert", killed)
            patch.setattr(conversion, "clear", dead)
            body = {"method": {"name": "glance-direct"}}
            await me.post(f"/v2/images/{image['id']}/import", body, status=202)
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
            await house.core.sagas.stop()
        assert len(await asyncio.to_thread(os.listdir, workshops)) == 1
        await me.delete(f"/v2/images/{image['id']}", status=204)
        await house.core.sagas.start()
        await quiet(house)
        assert await asyncio.to_thread(os.listdir, workshops) == [] and house.files == []
    finally:
        await house.core.stop()


async def test_what_is_not_what_it_is_said_to_be_never_reaches_the_converter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2024-32498, CVE-2022-47951: the converter would follow a backing file to any file of the host."""
    from skyhold.image.imports import conversion

    async def never(*argv: str, **kw: Any) -> str:
        raise AssertionError("the converter was started")

    monkeypatch.setattr(conversion, "run_tool", never)
    (tmp_path / "home").mkdir()
    house = await with_plugins(tmp_path / "home", "image_conversion")
    backed = tmp_path / "backed.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", backed, "1M"]
    await asyncio.to_thread(subprocess.run, command, check=True)
    try:
        me = house.someone()
        for content, claim in ((backed.read_bytes(), "qcow2"), (qcow2(tmp_path), "vmdk"), (CONTENT, "qcow2")):
            image = await staged(me, content, disk_format=claim)
            await imported(house, me, image["id"], "glance-direct")
            shown = await me.look(image["id"])
            assert shown["status"] == "queued" and shown["disk_format"] == claim and house.files == []
    finally:
        await house.core.stop()


async def test_a_disk_that_grows_beyond_its_room_is_not_converted(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    house = await with_plugins(tmp_path / "home", "image_conversion", size_limit_bytes=2_000_000)
    try:
        me = house.someone()
        image = await staged(me, qcow2(tmp_path), disk_format="qcow2")
        await imported(house, me, image["id"], "glance-direct")
        assert (await me.look(image["id"]))["status"] == "queued" and house.files == []
        assert "are left for it" in (await task_of(me, image["id"]))["message"]
    finally:
        await house.core.stop()


async def test_tasks_are_as_their_schemas_say(house: House) -> None:
    import jsonschema_rs

    me = house.someone()
    image = await staged(me)
    await imported(house, me, image["id"], "glance-direct")
    admin = me.with_role("admin")
    (task,) = (await admin.get("/v2/tasks", status=200)).json["tasks"]
    for name, path in (("task", f"/v2/tasks/{task['id']}"), ("tasks", "/v2/tasks")):
        schema = (await me.get(f"/v2/schemas/{name}", status=200)).json
        assert schema["name"] == name
        jsonschema_rs.Draft4Validator(schema | {"additionalProperties": False}).validate(
            (await admin.get(path, status=200)).json
        )


async def test_slow_servers_hold_up_neither_other_projects_nor_uploads(open_house: House, site: str) -> None:
    """More imports from a server that stalls than one project may have under way at once."""
    slow, me = open_house.someone(), open_house.someone()
    for _ in range(staged_bytes.MOST_OF_A_PROJECT + 2):
        image = await slow.image()
        body = {"method": {"name": "web-download", "uri": site + "/slow"}}
        await slow.post(f"/v2/images/{image['id']}/import", body, status=202)
    mine = await me.image()
    body = {"method": {"name": "web-download", "uri": site + "/disk"}}
    await me.post(f"/v2/images/{mine['id']}/import", body, status=202)
    async with asyncio.timeout(PATIENCE_S):
        while (await me.look(mine["id"]))["status"] != "active":
            await asyncio.sleep(0.05)
        assert (await me.image(CONTENT))["status"] == "active"
    moving = open_house.core.shelf["image.moving"]
    assert moving[slow.project_id] == staged_bytes.MOST_OF_A_PROJECT and moving[me.project_id] == 0
