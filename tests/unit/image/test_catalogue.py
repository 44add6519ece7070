# SPDX-License-Identifier: Apache-2.0
"""The built-in catalogue (GLA-15): its data, and how publishers' lists of checksums are read."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pytest

from skyhold.image import catalogue
from skyhold.image.catalogue import Entry, NoDigest
from skyhold.image.images.ops import check_name
from skyhold.image.images.shape import DISK_FORMATS

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
ENTRY = Entry(
    title="x", url="https://x.test/pub/disk.qcow2", checksums="https://x.test/pub/SUMS", algorithm="sha256",
    moving=True, disk_format="qcow2", min_disk_gb=1,
)


def test_the_catalogue_has_what_a_cloud_wants_and_asks_for_it_over_tls_gla_15() -> None:
    found = catalogue.entries()
    families = {name.partition("-")[0] for name in found}
    assert families >= {"debian", "ubuntu", "rocky", "almalinux", "fedora", "alpine", "cirros", "flatcar"}
    for entry in found.values():
        for url in (entry.url, entry.checksums):
            assert urlsplit(url).scheme == "https" and urlsplit(url).hostname
        assert entry.disk_format in DISK_FORMATS and entry.min_disk_gb > 0
        for name, value in entry.properties.items():
            check_name(name)
            assert isinstance(value, str)


@pytest.mark.parametrize("text", [
    f"{B}  other.qcow2\n{A}  disk.qcow2\n", f"{A} *disk.qcow2", f"{A.upper()}  ./disk.qcow2\n",
    f"SHA256 (disk.qcow2) = {A}\nSHA256 (other) = {B}\n", A + "\n", f"{A}\tdisk.qcow2\n{A}  disk.qcow2",
    f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# disk.qcow2: 5 bytes\nSHA256 (disk.qcow2) = {A}\n-----BEGIN",
    f"# MD5 HASH\n{'0' * 32}  disk.qcow2\n# SHA256 HASH\n{A}  disk.qcow2\n",
])
def test_a_digest_is_found_however_it_is_written(text: str) -> None:
    assert catalogue.digest_in(text, ENTRY) == A


@pytest.mark.parametrize("text", [
    "", "<html>not found</html>", f"{A}  other.qcow2", f"{A}  disk.qcow2\n{B}  disk.qcow2", f"{'0' * 32}  disk.qcow2",
    f"{A}  disk.qcow2.sig", f"{A} {B}", "0" * 32, f"SHA256 (disk.qcow2) = {A[:60]}",
])
def test_a_list_that_says_nothing_or_two_things_is_refused(text: str) -> None:
    with pytest.raises(NoDigest, match=r"disk\.qcow2"):
        catalogue.digest_in(text, ENTRY)
