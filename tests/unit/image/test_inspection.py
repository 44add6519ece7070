# SPDX-License-Identifier: Apache-2.0
"""What is believed of an image's content, and what is refused: the corpus of hostile images.

The images are corpus.py. Every advisory of the past is here by its name; each is shown in one piece
and byte-dribbled, because an upload may arrive either way.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyhold.image.logic.inspection import Inspection, Refused
from tests.unit.image import corpus
from tests.unit.image.corpus import MIB

TIB = MIB * MIB


def inspect(content: bytes, claim: str, container: str = "bare", *, step: int = MIB, limit: int = TIB) -> int:
    inspection = Inspection(claim, container, limit)
    for at in range(0, len(content), step):
        inspection.feed(content[at:at + step])
    return inspection.conclude()


def refusal(content: bytes, claim: str, container: str = "bare", **kw: int) -> str:
    with pytest.raises(Refused) as refused:
        inspect(content, claim, container, **kw)
    for step in (1000, 512, 4096):
        with pytest.raises(Refused):
            inspect(content, claim, container, step=step, **kw)
    return str(refused.value)


@pytest.mark.parametrize("step", [MIB, 64 * 1024, 4096, 777])
@pytest.mark.parametrize(("claim", "content", "virtual_bytes"), [
    ("raw", bytes(5000), 5000), ("raw", b"", 0), ("raw", b"x", 1), ("raw", corpus.mbr(), 65536),
    ("raw", corpus.mbr(gpt=False), 65536), ("raw", corpus.luks(), 8192), ("ami", bytes(100), 100),
    ("aki", corpus.mbr(), 65536), ("qcow2", corpus.qcow2(), 10 * MIB), ("qcow2", corpus.qcow2(version=2), 10 * MIB),
    ("vmdk", corpus.vmdk(), 10 * MIB), ("vmdk", corpus.vmdk(kind="streamOptimized"), 10 * MIB),
    ("vdi", corpus.vdi(), 10 * MIB), ("vhd", corpus.vhd(), 10 * MIB), ("vhd", corpus.vhd_fixed(), MIB),
    ("vhdx", corpus.vhdx(), 10 * MIB), ("iso", corpus.iso(), 40 * 1024), ("iso", corpus.mbr(corpus.iso()), 40 * 1024),
    ("ploop", bytes(700), 700),
])
def test_an_honest_image_is_taken_with_its_virtual_size(
    claim: str, content: bytes, virtual_bytes: int, step: int
) -> None:
    assert inspect(content, claim, step=step) == virtual_bytes


REAL = {
    "qcow2": corpus.qcow2(), "vmdk": corpus.vmdk(), "vdi": corpus.vdi(), "vhd": corpus.vhd(), "vhdx": corpus.vhdx(),
    "iso": corpus.iso(),
}


@pytest.mark.parametrize("claim", ["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ami", "ari", "aki", "ploop"])
@pytest.mark.parametrize("real", REAL)
def test_content_that_contradicts_the_claim_is_refused(claim: str, real: str) -> None:
    if claim != real:
        assert real in refusal(REAL[real], claim)


@pytest.mark.parametrize("claim", ["qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"])
def test_a_format_that_is_claimed_must_be_there(claim: str) -> None:
    for content in (b"", b"x", bytes(100_000), corpus.mbr()):
        refusal(content, claim)


@pytest.mark.parametrize("container", ["ova", "docker", "compressed"])
def test_an_archive_is_no_disk(container: str) -> None:
    assert inspect(bytes(10_000), "vmdk", container) == 10_000
    assert container in refusal(corpus.qcow2(), "qcow2", container)


def test_cve_2022_47951_a_vmdk_descriptor_that_names_a_host_file() -> None:
    assert "descriptor" in refusal(corpus.vmdk(kind="monolithicFlat", extent='RW 20480 FLAT "/etc/shadow" 0'), "vmdk")
    assert "descriptor" in refusal(corpus.vmdk(extent='RW 20480 SPARSE "/etc/shadow"'), "vmdk")
    assert "descriptor" in refusal(corpus.vmdk(extent=""), "vmdk")
    assert "descriptor" in refusal(corpus.vmdk(kind="vmfsSparse"), "vmdk")
    refusal(corpus.vmdk_text(), "vmdk")


def test_cve_2022_47951_a_bare_descriptor_is_not_raw_either() -> None:
    assert "vmdk" in refusal(corpus.vmdk_text(), "raw")


def test_cve_2024_32498_a_qcow2_with_an_external_data_file() -> None:
    assert "data file" in refusal(corpus.qcow2(features=corpus.DATA_FILE), "qcow2")


def test_cve_2024_32498_a_qcow2_with_a_backing_file() -> None:
    assert "backing file" in refusal(corpus.qcow2(backing=b"/etc/shadow"), "qcow2")
    assert "backing file" in refusal(corpus.qcow2(version=2, backing=b"json:{}"), "qcow2")


def test_cve_2024_40767_raw_that_is_really_qcow2_or_vmdk() -> None:
    assert "qcow2" in refusal(corpus.qcow2(backing=b"/etc/shadow"), "raw")
    assert "vmdk" in refusal(corpus.vmdk(), "raw")
    assert "qed" in refusal(corpus.qed(), "raw")


def test_cve_2024_40767_a_header_cut_short_counts_as_one() -> None:
    """QEMU fills the rest of the first sector with zeros and finds the header there."""
    assert "qcow2" in refusal(corpus.qcow2()[:110], "raw")


def test_qcow2_features_nobody_knows_are_refused() -> None:
    assert "not known" in refusal(corpus.qcow2(features=corpus.EXTENDED_L2), "qcow2")
    assert "not known" in refusal(corpus.qcow2(features=1 << 40), "qcow2")
    assert "not known" in refusal(corpus.qcow2(version=1), "qcow2")


@pytest.mark.parametrize("claim", ["raw", "qcow2", "iso"])
def test_polyglots_are_refused_whatever_they_claim(claim: str) -> None:
    for content in (
        corpus.over(corpus.iso(), corpus.qcow2(length=512)), corpus.mbr(corpus.qcow2()),
        corpus.over(corpus.iso(), corpus.vdi()[:512]),
    ):
        refusal(content, claim)


def test_qed_is_never_taken() -> None:
    for claim in ("raw", "qcow2", "iso"):
        refusal(corpus.qed(), claim)


def test_a_disk_beyond_all_measure_is_refused() -> None:
    assert "would become a disk of" in refusal(corpus.qcow2(size=TIB + 1), "qcow2")
    assert inspect(corpus.qcow2(size=TIB), "qcow2") == TIB
    refusal(corpus.vdi(size=2**63), "vdi")
    refusal(bytes(2000), "raw", limit=1999)


def test_a_lie_is_noticed_before_the_upload_is_over() -> None:
    inspection = Inspection("raw", "bare", TIB)
    with pytest.raises(Refused):
        inspection.feed(corpus.qcow2())


@settings(max_examples=200)
@given(content=st.binary(max_size=2000), claim=st.sampled_from(["raw", "qcow2", "vmdk", "vhdx", "iso"]))
def test_no_content_breaks_the_inspection(content: bytes, claim: str) -> None:
    with suppress(Refused):
        assert inspect(content, claim) >= 0


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(REAL)), at=st.integers(0, 1100), noise=st.binary(min_size=1, max_size=64),
    step=st.sampled_from([512, 4096, MIB]),
)
def test_a_damaged_header_never_makes_the_claim_true_of_another_format(
    name: str, at: int, noise: bytes, step: int
) -> None:
    damaged = REAL[name][:at] + noise + REAL[name][at + len(noise):]
    claim = "vdi" if name != "vdi" else "qcow2"
    try:
        inspect(damaged, claim, step=step)
    except Refused:
        return
    # Only the noise itself can have written the other format's magic.
    assert (b"\x7f\x10\xda\xbe" if claim == "vdi" else b"QFI\xfb") in damaged
