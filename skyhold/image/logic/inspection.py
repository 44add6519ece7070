# SPDX-License-Identifier: Apache-2.0
"""What an image really is, found out from its bytes while they flow, before anything opens it.

The formats are recognised by oslo.utils' inspectors, which read headers and nothing else; what is
claimed, and what follows from a refusal, is files.py. The one thing to know first: a refusal names
what was found, because "raw" that is really qcow2 is how a guest reads its host's files.

Follows oslo.utils `format_inspector`; CVE-2022-47951, CVE-2024-32498, CVE-2024-40767.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oslo_utils.imageutils.format_inspector import FileInspector

    from skyhold.core.blobs.base import Piece

SLICE_BYTES = 64 * 1024
SECTOR_BYTES = 512
OPAQUE = frozenset({"gpt", "luks"})
"""What a disk without a format of its own may hold: partitions, encrypted content."""
FITTING: dict[str, frozenset[str]] = {
    "raw": OPAQUE, "ploop": OPAQUE, "ami": OPAQUE, "ari": OPAQUE, "aki": OPAQUE,
    # A bootable CD carries a partition table beside its file system.
    "iso": frozenset({"iso", "gpt"}),
    "vhd": frozenset({"vhd", "gpt"}),
}
NEEDED = frozenset({"qcow2", "vmdk", "vdi", "vhdx", "iso"})
"""Formats that can't be claimed without showing them."""
ARCHIVES = frozenset({"ova", "docker", "compressed"})
"""Containers whose disk is inside an archive: the outside must then be no disk at all."""
VHD_FOOTER = b"conectix"
REASONS = {
    "backing_file": "it names a backing file, which could be any file of the host",
    "data_file": "it names an external data file, which could be any file of the host",
    "unknown_features": "it uses features of qcow2 that are not known here",
    "descriptor": "its descriptor is not that of a monolithicSparse or streamOptimized disk in one piece",
    "footer": "its footer contradicts its header",
    "banned": "this format is never accepted",
}


class Refused(Exception):
    """The content isn't what was claimed, or isn't safe; the text is for the user."""


class Inspection:
    """`feed` every piece in order, then `conclude`. Both raise Refused.

    `disk_format` and `container_format` are what the image claims to be.
    """

    def __init__(self, disk_format: str, container_format: str, virtual_limit_bytes: int) -> None:
        # Loaded with the first upload: it takes a tenth of the time in which the whole program is loaded.
        from oslo_utils.imageutils import format_inspector

        self._formats = format_inspector
        self._claim, self._container = disk_format, container_format
        self._virtual_limit_bytes = virtual_limit_bytes
        self._all: list[FileInspector] = [
            make() for name, make in self._formats.ALL_FORMATS.items() if name != "raw"
        ]
        self._reading = list(self._all)
        self._failed: set[FileInspector] = set()
        self._size_bytes = 0
        self._tail = b""

    def feed(self, piece: Piece) -> None:
        self._size_bytes += len(piece)
        self._tail = (self._tail + bytes(piece[-SECTOR_BYTES:]))[-SECTOR_BYTES:]
        if not self._reading:
            return
        # In slices: an inspector finds a region only if it starts within what it is shown next.
        for at in range(0, len(piece), SLICE_BYTES):
            self._show(bytes(piece[at:at + SLICE_BYTES]))
            if not self._reading:
                return
        self._refuse_early()

    def conclude(self) -> int:
        """The virtual size in bytes, once all bytes were fed."""
        if 0 < self._size_bytes < SECTOR_BYTES:
            # QEMU reads what is missing of the first sector as zeros, and so finds a header there.
            self._show(bytes(SECTOR_BYTES - self._size_bytes))
        for inspector in self._all:
            inspector.finish()
        matches = self._matches()
        self._check_claim(matches)
        return self._virtual_size(matches)

    # ---- while bytes flow -----------------------------------------------------------------

    def _show(self, piece: bytes) -> None:
        for inspector in self._reading:
            try:
                inspector.eat_chunk(piece)
            except Exception:
                # An inspector that can't read this has not found its format.
                self._failed.add(inspector)
        self._reading = [inspector for inspector in self._reading if self._curious(inspector)]

    def _curious(self, inspector: FileInspector) -> bool:
        if inspector in self._failed:
            return False
        return not inspector.complete

    def _refuse_early(self) -> None:
        """Sparing a long upload its end: what has matched already stays matched."""
        found = {str(inspector) for inspector in self._matches()} - {"vmdk"}
        if found - self._fitting():
            raise Refused(self._mismatch(found))

    # ---- at the end -----------------------------------------------------------------------

    def _matches(self) -> list[FileInspector]:
        return [inspector for inspector in self._all if inspector not in self._failed and matches(inspector)]

    def _fitting(self) -> frozenset[str]:
        if self._container in ARCHIVES:
            return frozenset()
        return FITTING.get(self._claim, frozenset({self._claim}))

    def _check_claim(self, found: list[FileInspector]) -> None:
        names = {str(inspector) for inspector in found}
        if names - self._fitting():
            raise Refused(self._mismatch(names))
        if self._container in ARCHIVES:
            return
        if self._claim in NEEDED and self._claim not in names:
            raise Refused(self._mismatch(names))
        if self._claim == "vhd" and "vhd" not in names and not self._tail.startswith(VHD_FOOTER):
            raise Refused(self._mismatch(names))
        for inspector in found:
            # Odd partition tables are the guest's business: nobody but the guest reads them.
            if str(inspector) not in OPAQUE:
                self._check_safety(inspector)

    def _check_safety(self, inspector: FileInspector) -> None:
        try:
            inspector.safety_check()
        except self._formats.SafetyCheckFailed as unsafe:
            reasons = [REASONS.get(name, name) for name in sorted(unsafe.failures)]
            raise Refused(f"The {inspector} image is refused: {' and '.join(reasons)}.") from None
        except self._formats.ImageFormatError:
            raise Refused(f"The {inspector} image is incomplete or damaged.") from None

    def _virtual_size(self, found: list[FileInspector]) -> int:
        own = next((each for each in found if str(each) == self._claim and self._claim != "iso"), None)
        size = int(own.virtual_size) if own is not None else self._plain_size()
        if size > self._virtual_limit_bytes:
            raise Refused(
                f"The image would become a disk of {size} bytes; at most {self._virtual_limit_bytes} are allowed."
            )
        return size

    def _plain_size(self) -> int:
        """Of content that is the disk itself; a fixed VHD is that with a footer behind it."""
        if self._claim == "vhd" and self._tail.startswith(VHD_FOOTER):
            (size,) = struct.unpack(">Q", self._tail[40:48])
            return int(size)
        return self._size_bytes

    def _mismatch(self, names: set[str]) -> str:
        claim = self._claim if self._container not in ARCHIVES else self._container
        what = " and ".join(sorted(names)) if names else "none of the known formats"
        return f"The image is said to be {claim}, but its content is {what}. Set disk_format to what it is."


def matches(inspector: Any) -> bool:
    try:
        return bool(inspector.format_match)
    except Exception:
        # Too little was read for this format to be there.
        return False
