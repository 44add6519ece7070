# SPDX-License-Identifier: Apache-2.0
"""Stories of lying images (GLA-05): refused with a sentence, nothing kept, the image queued again.

The corpus and what exactly is refused is tests/unit/image/test_inspection.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from skyhold.core.settings.sections import Image
from tests.story.image.conftest import House, start_house
from tests.unit.image import corpus


@pytest.mark.parametrize(("claim", "content", "word"), [
    ("raw", corpus.qcow2(backing=b"/etc/shadow"), "qcow2"),
    ("qcow2", corpus.qcow2(backing=b"/etc/shadow"), "backing file"),
    ("qcow2", corpus.qcow2(features=corpus.DATA_FILE), "data file"),
    ("vmdk", corpus.vmdk(extent='RW 20480 FLAT "/etc/shadow" 0'), "descriptor"),
    ("iso", corpus.over(corpus.iso(), corpus.qcow2(length=512)), "qcow2"),
    ("qcow2", bytes(4096), "none of the known formats"),
])
async def test_a_lying_image_is_refused_with_415_gla_05(house: House, claim: str, content: bytes, word: str) -> None:
    me = house.someone()
    image = await me.image(disk_format=claim)
    refused = await me.upload(image["id"], content, status=415)
    assert word in refused.json["error"]["message"]
    assert refused.json["error"]["reason"] == "image_content_refused"
    after = await me.look(image["id"])
    assert after["status"] == "queued" and after["size"] is None and house.files == []


async def test_the_same_image_can_be_corrected_and_uploaded(house: House) -> None:
    me = house.someone()
    image = await me.image(disk_format="raw")
    await me.upload(image["id"], corpus.qcow2(), status=415)
    await me.change(image["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"}, status=200)
    await me.upload(image["id"], corpus.qcow2(), status=204)
    after = await me.look(image["id"])
    assert after["virtual_size"] == 10 * 1024 * 1024 and after["size"] == 4096


async def test_a_virtual_size_beyond_the_setting_is_refused(tmp_path: Path) -> None:
    house = await start_house(tmp_path, image=Image(virtual_size_limit_bytes=1024))
    try:
        me = house.someone()
        image = await me.image(disk_format="qcow2")
        refused = await me.upload(image["id"], corpus.qcow2(), status=415)
        assert "at most 1024" in refused.json["error"]["message"] and house.files == []
    finally:
        await house.core.stop()
