# SPDX-License-Identifier: Apache-2.0
"""The inspection on files that qemu-img itself made, honest and hostile: what the corpus claims is no fiction.

Hand-made headers are corpus.py and test_inspection.py.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.image import corpus
from tests.unit.image.test_inspection import inspect, refusal

SIZE = 4 * 1024 * 1024
HONEST = [
    # What is claimed, qemu-img's name of it, its options.
    ("raw", "raw", ()), ("qcow2", "qcow2", ()), ("qcow2", "qcow2", ("-o", "compat=0.10")),
    ("qcow2", "qcow2", ("-o", "lazy_refcounts=on")), ("qcow2", "qcow2", ("-o", "preallocation=full")),
    ("vmdk", "vmdk", ()), ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")), ("vdi", "vdi", ()),
    ("vdi", "vdi", ("-o", "static=on")), ("vhd", "vpc", ("-o", "force_size=on")),
    ("vhd", "vpc", ("-o", "subformat=fixed,force_size=on")), ("vhdx", "vhdx", ()), ("ploop", "parallels", ()),
]
HOSTILE = [
    ("vmdk", "vmdk", ("-o", "subformat=monolithicFlat"), "disk"),
    ("vmdk", "vmdk", ("-o", "subformat=twoGbMaxExtentFlat"), "disk"),
    ("vmdk", "vmdk", ("-o", "subformat=twoGbMaxExtentSparse"), "disk"),
    ("qcow2", "qcow2", ("-u", "-b", "/etc/passwd", "-F", "raw"), "backing file"),
    ("qcow2", "qcow2", ("-o", "data_file=other"), "data file"),
    ("qcow2", "qcow2", ("-o", "data_file=other,data_file_raw=on"), "data file"),
    ("qcow2", "qcow2", ("-o", "extended_l2=on"), "not known"),
]


def made(folder: Path, kind: str, options: tuple[str, ...]) -> bytes:
    command = ["qemu-img", "create", "-q", "-f", kind, *options, "disk", str(SIZE)]
    subprocess.run(command, cwd=folder, check=True)
    return (folder / "disk").read_bytes()


@pytest.mark.parametrize(("claim", "kind", "options"), HONEST, ids=str)
def test_what_qemu_makes_is_taken_for_what_it_is(
    tmp_path: Path, claim: str, kind: str, options: tuple[str, ...]
) -> None:
    content = made(tmp_path, kind, options)
    told = inspect(content, claim)
    assert told == (SIZE if claim != "ploop" else len(content))
    for other in {"qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"} - {claim}:
        refusal(content, other)
    if claim not in ("raw", "ploop") and "subformat=fixed,force_size=on" not in options:
        assert claim in refusal(content, "raw")


@pytest.mark.parametrize(("claim", "kind", "options", "word"), HOSTILE, ids=str)
def test_what_names_another_file_is_refused(
    tmp_path: Path, claim: str, kind: str, options: tuple[str, ...], word: str
) -> None:
    """CVE-2022-47951 and CVE-2024-32498, by the tool that follows such names."""
    content = made(tmp_path, kind, options)
    said = refusal(content, claim)
    assert word in said or word == "disk"
    refusal(content, "raw")


def test_a_format_inside_a_format_is_the_guests_business(tmp_path: Path) -> None:
    """Only the outer one is ever opened, by its name: what a guest finds inside it opens by itself."""
    inner = corpus.qcow2(backing=b"/etc/shadow")
    (tmp_path / "inner").write_bytes(inner.ljust(1 << 20, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "inner", "outer"], cwd=tmp_path, check=True)
    assert inspect((tmp_path / "outer").read_bytes(), "qcow2") == 1 << 20
    refusal((tmp_path / "outer").read_bytes(), "raw")


def test_a_small_file_that_says_it_is_huge_is_refused(tmp_path: Path) -> None:
    """A bomb: a few kilobytes that would become a disk beyond the limit."""
    for kind, claim in (("qcow2", "qcow2"), ("vdi", "vdi"), ("vhdx", "vhdx"), ("vmdk", "vmdk")):
        subprocess.run(["qemu-img", "create", "-q", "-f", kind, kind, "1500G"], cwd=tmp_path, check=True)
        content = (tmp_path / kind).read_bytes()
        assert "would become a disk" in refusal(content, claim, limit=1 << 40)


@pytest.mark.parametrize("claim", ["raw", "qcow2", "vmdk", "iso"])
def test_encrypted_and_forgotten_formats(tmp_path: Path, claim: str) -> None:
    qed = made(tmp_path, "qed", ())
    assert "qed" in refusal(qed, claim)
    if claim != "raw":
        refusal(corpus.luks(), claim)
