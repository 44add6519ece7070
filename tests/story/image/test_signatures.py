# SPDX-License-Identifier: Apache-2.0
"""Stories of signed images (GLA-12): content is taken only when it is what was signed.

Keys, hashes and chains are tests/unit/image/test_signing.py, servers from trusted images
tests/story/compute/test_trusted_images.py.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from skyhold.core.context import Context
from skyhold.image import signatures
from tests.story.image.conftest import House
from tests.story.image.test_imports import imported, staged, task_of
from tests.unit.image.signing import certify, key, pem, properties

CONTENT = b"what was signed" * 100_000
KINDS = ["RSA-PSS", "DSA", "ECC_SECP521R1", "ECC_SECP384R1"]


def keep(house: House, certificate: Any, suffix: str = ".pem") -> str:
    folder: Path = house.core.settings.home / "image-certificates"
    folder.mkdir(exist_ok=True)
    name = str(uuid.uuid4())
    encoding = serialization.Encoding.DER if suffix == ".der" else serialization.Encoding.PEM
    (folder / (name + suffix)).write_bytes(certificate.public_bytes(encoding))
    return name


@pytest.mark.parametrize("kind", KINDS)
async def test_gla_12_signed_content_is_taken_and_other_is_refused(house: House, kind: str) -> None:
    me = house.someone()
    told = properties(kind, "SHA-256", CONTENT, keep(house, certify("me", key(kind))))
    image = await me.image(**told)
    refused = await me.upload(image["id"], CONTENT[:-1] + b"!", status=400)
    assert refused.json["error"]["reason"] == "image_signature_refused"
    after = await me.look(image["id"])
    assert after["status"] == "queued" and after["size"] is None and house.files == []
    await me.upload(image["id"], CONTENT, status=204)
    assert (await me.look(image["id"]))["status"] == "active"


async def test_gla_12_an_import_is_verified_too(house: House) -> None:
    me = house.someone()
    certificate_id = keep(house, certify("me", key("RSA-PSS")), ".der")
    good = await staged(me, CONTENT, **properties("RSA-PSS", "SHA-512", CONTENT, certificate_id))
    await imported(house, me, good["id"], "glance-direct")
    assert (await me.look(good["id"]))["status"] == "active"
    bad = await staged(me, CONTENT + b"!", **properties("RSA-PSS", "SHA-512", CONTENT, certificate_id))
    await imported(house, me, bad["id"], "glance-direct")
    assert (await me.look(bad["id"]))["status"] == "queued"
    task = await task_of(me, bad["id"])
    assert task["status"] == "failure" and "not what was signed" in task["message"]


async def test_gla_12_a_certificate_that_is_not_there_or_too_old(house: House) -> None:
    me = house.someone()
    old = keep(house, certify("old", key("DSA"), days=(-10, -1)))
    for certificate_id, word in (
        (str(uuid.uuid4()), "no certificate"), ("../../etc/passwd", "no certificate"), (old, "valid from"),
    ):
        image = await me.image(**properties("DSA", "SHA-256", CONTENT, certificate_id))
        refused = await me.upload(image["id"], CONTENT, status=400)
        assert word in refused.json["error"]["message"]
        assert (await me.look(image["id"]))["status"] == "queued"


async def test_some_of_the_properties_sign_nothing(house: House) -> None:
    me = house.someone()
    told = properties("DSA", "SHA-256", b"other", str(uuid.uuid4()))
    told.pop("img_signature_key_type")
    await me.image(CONTENT, **told)


async def test_another_service_may_keep_certificates(house: House) -> None:
    me, made = house.someone(), certify("me", key("DSA"))

    class Secrets:
        async def find(self, ctx: Context, certificate_id: str) -> bytes | None:
            return pem(made) if certificate_id == wanted and ctx.project_id == me.project_id else None

    wanted = str(uuid.uuid4())
    signatures.add_source(house.core, Secrets())
    told = properties("DSA", "SHA-256", CONTENT, wanted)
    assert (await me.image(CONTENT, **told))["status"] == "active"
    other = house.someone()
    image = await other.image(**told)
    await other.upload(image["id"], CONTENT, status=400)
