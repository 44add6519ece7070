# SPDX-License-Identifier: Apache-2.0
"""Chooses between KVM and TCG by measuring, and remembers the measurement.

The loop itself is kvm_loop.py. That /dev/kvm opens, creates a VM and runs SeaBIOS proves nothing:
only the time a vCPU needs for a loop tells whether an ordinary kernel will ever boot.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Literal

import msgspec

VirtType = Literal["auto", "kvm", "tcg"]

_FAST_NS = 100
_LIMIT_S = 5.0
_LOOP = Path(__file__).with_name("kvm_loop.py")


class Accelerator(msgspec.Struct, frozen=True):
    """What to run guests with, and the sentence that says why."""

    name: Literal["kvm", "tcg"]
    reason: str


class _Remembered(msgspec.Struct, frozen=True):
    boot_id: str
    accelerator: Accelerator


async def choose(virt_type: VirtType, remembered_at: Path) -> Accelerator:
    """`remembered_at` keeps the figure until the machine boots again."""
    if virt_type != "auto":
        return Accelerator(virt_type, "set by the operator")
    boot_id = _boot_id()
    known = _recall(remembered_at, boot_id)
    if known is not None:
        return known
    found = judge(await _measure())
    _remember(remembered_at, _Remembered(boot_id, found))
    return found


def judge(measured: float | str) -> Accelerator:
    """`measured` is nanoseconds per iteration, or why there is no figure."""
    if isinstance(measured, str):
        return Accelerator("tcg", measured)
    figure = f"{measured:.0f} ns per loop iteration in a KVM vCPU"
    if measured < _FAST_NS:
        return Accelerator("kvm", figure)
    return Accelerator("tcg", f"{figure}: too slow, something imitates KVM in software")


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _remember(path: Path, known: _Remembered) -> None:
    path.write_bytes(msgspec.json.encode(known))


def _recall(path: Path, boot_id: str) -> Accelerator | None:
    try:
        known = msgspec.json.decode(path.read_bytes(), type=_Remembered)
    except (OSError, msgspec.MsgspecError):
        return None
    return known.accelerator if known.boot_id == boot_id else None


async def _measure() -> float | str:
    loop = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_LOOP),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            out, err = await loop.communicate()
    except TimeoutError:
        loop.kill()
        await loop.wait()
        return f"the KVM probe did not end within {_LIMIT_S:.0f} s"
    if loop.returncode != 0:
        return "no KVM: " + (err.decode(errors="replace").strip().splitlines() or ["unknown"])[-1]
    return float(out)
