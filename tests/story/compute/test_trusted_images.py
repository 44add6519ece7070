# SPDX-License-Identifier: Apache-2.0
"""Stories of trusted images: a server starts only from an image that certificates of its user's choice vouch for.

Signatures themselves are tests/unit/image/test_signing.py, uploads of signed images test_signatures.py of image.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from skyhold.core.qcow2 import empty
from tests.story.compute.scene import Scene
from tests.unit.image.signing import certify, key, pem, properties

AT = {"OpenStack-API-Version": "compute 2.63"}
KIND = "ECC_SECP384R1"


class Trust:
    """A root that vouches for the signer of an image, both in the operator's folder."""

    def __init__(self, scene: Scene) -> None:
        self.folder = scene.cloud.core.settings.home / "image-certificates"
        self.folder.mkdir(exist_ok=True)
        root_key = key("ECC_SECP521R1")
        root = certify("root", root_key, ca=True)
        self.root, self.own = self.keep(root), self.keep(certify("own", key(KIND), root, root_key))
        self.stranger = self.keep(certify("stranger", key("DSA"), ca=True))

    def keep(self, certificate: Any) -> str:
        name = str(uuid.uuid4())
        (self.folder / f"{name}.pem").write_bytes(pem(certificate))
        return name


async def signed_image(scene: Scene, trust: Trust, method: str, content: bytes) -> str:
    body = {"name": "signed", "disk_format": "qcow2", "container_format": "bare"}
    body |= properties(KIND, method, content, trust.own)
    made = (await scene.user.post("/image/v2/images", body, status=201)).json["id"]
    path = f"/image/v2/images/{made}"
    await scene.user.put(path + "/file", content, content_type="application/octet-stream", status=204)
    return made


async def boot(scene: Scene, image: str, trusted: list[str]) -> dict[str, Any]:
    wish = scene.wish("t", imageRef=image, trusted_image_certificates=trusted)
    made = (await scene.user.post("/compute/v2.1/servers", wish, headers=AT, status=202)).json["server"]
    await scene.settled()
    return await scene.show(made)


@pytest.mark.parametrize("method", ["SHA-512", "SHA-256"])
async def test_gla_12_a_server_starts_from_an_image_that_is_vouched_for(scene: Scene, method: str) -> None:
    trust = Trust(scene)
    image = await signed_image(scene, trust, method, empty())
    server = await boot(scene, image, [trust.root])
    assert server["status"] == "ACTIVE", server.get("fault")
    assert server["trusted_image_certificates"] == [trust.root]


async def test_gla_12_an_image_that_nobody_vouches_for_starts_nothing(scene: Scene) -> None:
    trust = Trust(scene)
    image = await signed_image(scene, trust, "SHA-256", empty())
    for trusted, word in (
        ([trust.stranger], "none of the trusted"), ([trust.own], "none of the trusted"),
        ([str(uuid.uuid4())], "no certificate"),
    ):
        server = await boot(scene, image, trusted)
        assert server["status"] == "ERROR" and word in server["fault"]["message"], server
    unsigned = await boot(scene, scene.image_id, [trust.root])
    assert unsigned["status"] == "ERROR" and "not signed" in unsigned["fault"]["message"]


@pytest.mark.parametrize("method", ["SHA-512", "SHA-256"])
async def test_gla_12_properties_put_on_other_content_afterwards_are_found_out(scene: Scene, method: str) -> None:
    """The upload was not signed: only the boot can tell that the signature is of something else."""
    trust = Trust(scene)
    told = properties(KIND, method, b"something else", trust.own)
    changes = [{"op": "add", "path": f"/{name}", "value": value} for name, value in told.items()]
    body = {"name": "late", "disk_format": "qcow2", "container_format": "bare"}
    path = f"/image/v2/images/{(await scene.user.post('/image/v2/images', body, status=201)).json['id']}"
    await scene.user.put(path + "/file", empty(), content_type="application/octet-stream", status=204)
    media = "application/openstack-images-v2.1-json-patch"
    await scene.user.patch(path, changes, content_type=media, status=200)
    server = await boot(scene, path.rpartition("/")[2], [trust.root])
    assert server["status"] == "ERROR" and "not what was signed" in server["fault"]["message"]


@pytest.mark.parametrize("trusted", [[], ["x"] * 2, [1], "x", [f"{n}" for n in range(51)], [""]])
async def test_a_list_that_is_none_is_refused(scene: Scene, trusted: Any) -> None:
    wish = scene.wish("t", trusted_image_certificates=trusted)
    await scene.user.post("/compute/v2.1/servers", wish, headers=AT, status=400)
