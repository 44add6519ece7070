# SPDX-License-Identifier: Apache-2.0
"""What this machine offers to guests: processors, memory, disk, versions, traits.

The accelerator is measured in accelerator.py. Figures are read anew each time they are asked for;
only QEMU's version is asked once.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import msgspec
import os_traits

from skyhold.compute.drivers.base import HostInventory
from skyhold.compute.drivers.qemu.accelerator import Accelerator
from skyhold.core.tools import Fence, ToolFailed, run_tool


class QemuMissing(Exception):
    """QEMU can't be used on this machine; the text has the remedy."""


class Version(msgspec.Struct, frozen=True):
    major: int
    minor: int
    micro: int

    @property
    def number(self) -> int:
        return self.major * 1_000_000 + self.minor * 1_000 + self.micro

    @property
    def machine(self) -> str:
        """The versioned machine type: a saved state fits no other."""
        return f"pc-q35-{self.major}.{self.minor}"


async def qemu_version() -> Version:
    try:
        said = await run_tool("qemu-system-x86_64", "-version", cwd=Path("/"), fence=Fence(memory_mb=4096))
        await run_tool("qemu-img", "--version", cwd=Path("/"), fence=Fence())
    except (ToolFailed, OSError) as error:
        remedy = "install qemu-system-x86 and qemu-utils (and util-linux)"
        raise QemuMissing(f"QEMU does not run here ({error}): {remedy}.") from error
    return parse_version(said)


def parse_version(said: str) -> Version:
    found = re.search(r"version (\d+)\.(\d+)(?:\.(\d+))?", said)
    if found is None:
        raise QemuMissing(f"QEMU's version could not be read from {said[:80]!r}.")
    return Version(*(int(part or 0) for part in found.groups()))


def inventory(
    state_dir: Path, version: Version, accelerator: Accelerator, reserved_ram_mb: int
) -> HostInventory:
    stat = os.statvfs(state_dir)
    return HostInventory(
        vcpus=len(os.sched_getaffinity(0)),
        ram_mb=_total_ram_mb(),
        disk_gb=stat.f_blocks * stat.f_frsize >> 30,
        reserved_ram_mb=reserved_ram_mb,
        hypervisor_type="QEMU",
        hypervisor_version=version.number,
        accelerator=accelerator.name,
        accelerator_reason=accelerator.reason,
        cpu_model=_cpu_model(),
        arch=platform.machine(),
        traits=_traits(),
    )


def _total_ram_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return ""


def _traits() -> list[str]:
    """What this driver does, in the words of os-traits."""
    names = [
        "COMPUTE_DEVICE_TAGGING",
        "COMPUTE_GRAPHICS_MODEL_VGA",
        "COMPUTE_IMAGE_TYPE_QCOW2",
        "COMPUTE_IMAGE_TYPE_RAW",
        "COMPUTE_NET_ATTACH_INTERFACE",
        "COMPUTE_NET_VIF_MODEL_E1000",
        "COMPUTE_NET_VIF_MODEL_E1000E",
        "COMPUTE_NET_VIF_MODEL_RTL8139",
        "COMPUTE_NET_VIF_MODEL_VIRTIO",
        "COMPUTE_STORAGE_BUS_SATA",
        "COMPUTE_STORAGE_BUS_SCSI",
        "COMPUTE_STORAGE_BUS_VIRTIO",
    ]
    return [getattr(os_traits, name) for name in names]
