# SPDX-License-Identifier: Apache-2.0
"""Who listens on a TCP port of this machine: what `skyhold doctor` says of a port that is taken.

Whether it is taken is doctor.py's question. All is read from /proc, as far as one may look: of other users' processes
nothing is found without being root.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def holder(port: int) -> set[int]:
    """Who listens on a TCP port, with the ancestors: process ids, as far as one may look."""
    sockets = {f"socket:[{inode}]" for inode in inodes(port)}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(handle) in sockets for handle in (folder / "fd").iterdir()):
                return set(lineage(int(folder.name)))
    return set()


def inodes(port: int) -> Iterator[str]:
    for table_file in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table_file).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]


def lineage(pid: int) -> Iterator[int]:
    while pid > 1:
        yield pid
        # The name, in parentheses, may hold anything; what follows the last one is regular.
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def command(pid: int) -> str:
    """A process's own short name."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "unknown"


def own_processes(run_dir: Path) -> set[int]:
    """What the cloud in this state directory wrote about its processes: one number per *.pid file."""
    found = set()
    for path in run_dir.glob("*.pid"):
        with contextlib.suppress(OSError, ValueError):
            found.add(int(path.read_text()))
    return found
