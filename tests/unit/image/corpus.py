# SPDX-License-Identifier: Apache-2.0
"""Disk images made by hand, harmless and hostile, for the tests of image/logic/inspection.py.

Only headers are real: inspection reads nothing else. Numbers follow the formats' specifications
(qcow2.txt, the VMDK 5.0 and VHD papers, ECMA-119, the UEFI specification).
"""

from __future__ import annotations

import struct
import uuid

MIB = 1024 * 1024
DATA_FILE = 1 << 2
EXTENDED_L2 = 1 << 4


def qcow2(
    size: int = 10 * MIB, *, version: int = 3, backing: bytes = b"", features: int = 0, length: int = 4096
) -> bytes:
    at = 512 if backing else 0
    head = struct.pack(">4sIQIIQ", b"QFI\xfb", version, at, len(backing), 16, size)
    head = head.ljust(72, b"\0") + struct.pack(">QQQII", features, 0, 0, 4, 104)
    return (head.ljust(512, b"\0") + backing).ljust(length, b"\0")


def vmdk(
    descriptor: str | None = None, *, kind: str = "monolithicSparse", extent: str = 'RW 20480 SPARSE "disk.vmdk"',
    sectors: int = 20480,
) -> bytes:
    text = descriptor or f'# Disk DescriptorFile\nversion=1\nCID=fffffffe\ncreateType="{kind}"\n{extent}\n'
    head = struct.pack("<4sIIQQQQIQQ", b"KDMV", 1, 3, sectors, 128, 1, 20, 512, 21, 26)
    return head.ljust(512, b"\0") + text.encode().ljust(20 * 512, b"\0") + bytes(4096)


def vmdk_text(extent: str = 'RW 20480 FLAT "/etc/shadow" 0') -> bytes:
    return f'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\n{extent}\n'.encode().ljust(1024, b"\n")


def vdi(size: int = 10 * MIB) -> bytes:
    content = bytearray(4096)
    content[:39] = b"<<< Oracle VM VirtualBox Disk Image >>>"
    content[0x40:0x44] = struct.pack("<I", 0xBEDA107F)
    content[0x170:0x178] = struct.pack("<Q", size)
    return bytes(content)


def vhd(size: int = 10 * MIB) -> bytes:
    footer = bytearray(512)
    footer[:8] = b"conectix"
    footer[40:48] = struct.pack(">Q", size)
    return bytes(footer) + bytes(4096)


def vhd_fixed(size: int = MIB) -> bytes:
    return bytes(size) + vhd(size)[:512]


def vhdx(size: int = 10 * MIB) -> bytes:
    content = bytearray(3 * MIB)
    content[:8] = b"vhdxfile"
    meta_at, item_at = 2 * MIB, 65536
    region = struct.pack("<IIII", 0x69676572, 0, 1, 0)
    entry = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le + struct.pack("<QII", meta_at, MIB, 1)
    content[192 * 1024:192 * 1024 + 48] = region + entry
    table = struct.pack("<8sHH20x", b"metadata", 0, 1)
    table += uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le + struct.pack("<IIII", item_at, 8, 0, 0)
    content[meta_at:meta_at + len(table)] = table
    content[meta_at + item_at:meta_at + item_at + 8] = struct.pack("<Q", size)
    return bytes(content)


def iso() -> bytes:
    content = bytearray(40 * 1024)
    content[32768:32774] = b"\x01CD001"
    content[32768 + 80:32768 + 84] = struct.pack("<L", 20)
    content[32768 + 128:32768 + 130] = struct.pack("<H", 2048)
    return bytes(content)


def over(base: bytes, top: bytes) -> bytes:
    """A polyglot: the start of `top` laid over `base`."""
    return top + base[len(top):]


def mbr(content: bytes = b"", *, gpt: bool = True) -> bytes:
    """A partitioned disk, or whatever `content` is with a partition table in its first sector."""
    disk = bytearray(content or bytes(64 * 1024))
    kind = 0xEE if gpt else 0x83
    disk[446:462] = struct.pack("<B3BB3BII", 0, 0, 2, 0, kind, 255, 255, 255, 1, 100)
    disk[510:512] = b"\x55\xaa"
    return bytes(disk)


def qed() -> bytes:
    return b"QED\0".ljust(4096, b"\0")


def luks() -> bytes:
    return (b"LUKS\xba\xbe" + struct.pack(">H", 1)).ljust(8192, b"\0")
