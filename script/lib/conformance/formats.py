# SPDX-License-Identifier: Apache-2.0
"""Images of every disk format for the suite's tests of formats, and the manifest that it reads them by.

Sound ones are made by qemu-img, hostile ones by the makers of the inspection's own tests. A test of the suite runs
once with each image; what becomes of the runs together is suite.py's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.image import corpus

SIZE = "4M"
MADE = {
    "raw": ("raw", "raw", ""),
    "qcow2": ("qcow2", "qcow2", ""),
    "qcow2-first-version": ("qcow2", "qcow2", "compat=0.10"),
    "vmdk-sparse": ("vmdk", "vmdk", "subformat=monolithicSparse"),
    "vmdk-stream": ("vmdk", "vmdk", "subformat=streamOptimized"),
    "vdi": ("vdi", "vdi", ""),
    "vhd-dynamic": ("vhd", "vpc", "subformat=dynamic"),
    "vhd-fixed": ("vhd", "vpc", "subformat=fixed"),
    "vhdx": ("vhdx", "vhdx", ""),
}
"""By name: what it is called in the API, qemu-img's name of the format, and options."""
WRITTEN = {
    "iso": ("iso", corpus.iso(), True),
    "partitioned": ("raw", corpus.mbr(), True),
    "qcow2-backing-file": ("qcow2", corpus.qcow2(backing=b"/etc/passwd"), False),
    "qcow2-data-file": ("qcow2", corpus.qcow2(features=corpus.DATA_FILE), False),
    "vmdk-flat": ("vmdk", corpus.vmdk_text(), False),
    "vmdk-foreign-extent": ("vmdk", corpus.vmdk(kind="monolithicFlat", extent='RW 20480 FLAT "/etc/shadow" 0'), False),
    "raw-that-is-qcow2": ("raw", corpus.qcow2(), False),
    "raw-that-is-qed": ("raw", corpus.qed(), False),
    "iso-that-is-qcow2-too": ("iso", corpus.over(corpus.iso(), corpus.qcow2(length=1024)), False),
}
"""By name: what it is said to be, the bytes, and whether a cloud should take it."""


def make(folder: Path) -> Path:
    """The manifest, beside its images in `folder`."""
    if shutil.which("qemu-img") is None:
        sys.exit("The suite's images are made by qemu-img: apt-get install -y qemu-utils.")
    folder.mkdir()
    entries = [made(folder, name, *of) for name, of in MADE.items()]
    entries += [written(folder, name, *of) for name, of in WRITTEN.items()]
    manifest = folder / "manifest.yaml"
    # JSON is YAML too.
    manifest.write_text(json.dumps({"images": entries}, indent=1))
    return manifest


def made(folder: Path, name: str, called: str, driver: str, options: str) -> dict[str, Any]:
    if driver == "vmdk" and "stream" in options:
        # Such a disk is only ever the outcome of a conversion.
        source = ["convert", "-O", driver, "-o", options, folder / "raw", folder / name]
    else:
        source = ["create", "-f", driver, *(["-o", options] if options else []), folder / name, SIZE]
    subprocess.run(["qemu-img", *source], check=True, capture_output=True)
    return entry(name, called, usable=True)


def written(folder: Path, name: str, called: str, content: bytes, usable: bool) -> dict[str, Any]:
    (folder / name).write_bytes(content)
    return entry(name, called, usable=usable)


def entry(name: str, called: str, *, usable: bool) -> dict[str, Any]:
    return {"name": name, "format": called, "filename": name, "usable": usable}
