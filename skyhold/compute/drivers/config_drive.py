# SPDX-License-Identifier: Apache-2.0
"""Writes a server's config drive: a small disk labelled `config-2` that holds its metadata.

What the files say is decided in instance_tree.py; attaching the disk is the hypervisor driver's work.
ISO 9660 with Rock Ridge and Joliet is what every cloud-init reads; vfat is for images that ask for it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pycdlib

from skyhold.compute.drivers.base import InstanceMetadata
from skyhold.compute.drivers.instance_tree import ec2_json, openstack_tree

LABEL = "config-2"
_EC2_ON_DRIVE = ("2009-04-04", "latest")
_VFAT_MIN_BYTES = 1 << 20
_TOOL_TIMEOUT_S = 20


def build(metadata: InstanceMetadata, path: Path) -> None:
    """Write an ISO 9660 config drive to `path`, mode 0600, in one rename.

    Raises OSError when the folder can't be written.
    """
    _atomically(path, lambda target: _write_iso(files(metadata), target))


def build_vfat(metadata: InstanceMetadata, path: Path) -> None:
    """The same as a vfat disk without partitions, with mkfs.vfat and mtools.

    Raises FileNotFoundError when the tools aren't installed, subprocess.CalledProcessError when they fail.
    """
    _atomically(path, lambda target: _write_vfat(files(metadata), target))


def files(metadata: InstanceMetadata) -> dict[str, bytes]:
    """Path on the drive to content. EC2 has one JSON file per version instead of leaves, as Nova writes."""
    content = openstack_tree(metadata, with_admin_pass=True)
    for version in _EC2_ON_DRIVE:
        content[f"ec2/{version}/meta-data.json"] = ec2_json(metadata, version)
        if metadata.user_data is not None:
            content[f"ec2/{version}/user-data"] = metadata.user_data
    return content


def _atomically(path: Path, write: Callable[[Path], None]) -> None:
    # mkstemp opens 0600: the drive holds the administrator's password and is never readable by others.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(name))
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _write_iso(content: dict[str, bytes], target: Path) -> None:
    iso = pycdlib.PyCdlib()
    iso.new(
        interchange_level=3,
        vol_ident=LABEL,
        sys_ident="LINUX",
        pub_ident_str="Skyhold",
        app_ident_str="Skyhold",
        joliet=3,
        rock_ridge="1.09",
    )
    short = _ShortNames()
    for folder in _folders(content):
        iso.add_directory(
            short.of(folder), rr_name=folder.rpartition("/")[2], joliet_path=f"/{folder}", file_mode=0o040555
        )
    for name, value in content.items():
        iso.add_fp(
            BytesIO(value),
            len(value),
            short.of(name) + ".;1",
            rr_name=name.rpartition("/")[2],
            joliet_path=f"/{name}",
            file_mode=0o100444,
        )
    with target.open("wb") as sink:
        iso.write_fp(sink)
    iso.close()


class _ShortNames:
    """ISO 9660's own names, eight capitals at most; nobody reads them where Rock Ridge or Joliet is known."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {"": ""}

    def of(self, path: str) -> str:
        if path not in self._names:
            parent = self.of(path.rpartition("/")[0])
            self._names[path] = f"{parent}/F{len(self._names):07d}"
        return self._names[path]


def _folders(content: dict[str, bytes]) -> list[str]:
    """Every folder above a file, parents first."""
    found = {str(parent) for name in content for parent in Path(name).parents if str(parent) != "."}
    return sorted(found)


def _write_vfat(content: dict[str, bytes], target: Path) -> None:
    # Each file takes whole clusters, and FAT12 with 512-byte sectors needs some room for its tables.
    need = sum(len(value) + 4096 for value in content.values()) + (512 << 10)
    size = max(_VFAT_MIN_BYTES, -(-need // (1 << 20)) << 20)
    os.truncate(target, size)
    _run("mkfs.vfat", "-n", LABEL, str(target))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vfat.") as folder:
        for name, value in content.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(value)
        tops = sorted({str(Path(folder, name.partition("/")[0])) for name in content})
        _run("mcopy", "-s", "-Q", "-i", str(target), *tops, "::")


def _run(*argv: str) -> None:
    environment = {
        **os.environ,
        "MTOOLS_SKIP_CHECK": "1",
        "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
    }
    subprocess.run(argv, check=True, capture_output=True, timeout=_TOOL_TIMEOUT_S, env=environment)
