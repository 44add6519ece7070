# SPDX-License-Identifier: Apache-2.0
"""Entering, making and removing network namespaces.

Which namespaces there should be is in plan.py. A namespace belongs to a thread: `inside` must not
span an await.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

RUN = Path("/run/netns")
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(fd: int) -> Iterator[None]:
    """Run the block with this thread in the namespace behind `fd`."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(fd)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def open_namespace(name: str) -> int:
    """A file descriptor of the named namespace; "" is the machine's own."""
    path = RUN / name if name else Path("/proc/self/ns/net")
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def names() -> list[str]:
    try:
        return os.listdir(RUN)
    except FileNotFoundError:
        return []


def create(name: str) -> None:
    subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)


def remove(name: str) -> None:
    subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


def sysctl(path: str, value: int | str) -> None:
    """Write a setting of this thread's namespace, such as `net/ipv4/ip_forward`."""
    Path("/proc/sys", path).write_text(str(value))


def read_sysctl(path: str) -> str:
    return Path("/proc/sys", path).read_text().strip()


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
