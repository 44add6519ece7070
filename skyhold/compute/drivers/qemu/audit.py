# SPDX-License-Identifier: Apache-2.0
"""Finds what belongs to no guest: half-removed folders, cut-off copies, processes without a home.

Removing a guest is folder.py and power.py. What an interrupted step may leave always has a name
that says so, and is removed at start; anything else is only listed, for people to judge.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from skyhold.compute.drivers.qemu import process, snapshots
from skyhold.compute.drivers.qemu.folder import GONE
from skyhold.compute.drivers.qemu.images import ImageCache


def clear_remains(guests: Path, images: ImageCache) -> None:
    for path in guests.iterdir():
        if path.name.startswith(GONE):
            shutil.rmtree(path, ignore_errors=True)
        elif (path / "run").is_dir():
            snapshots.remove_leftovers(path)
            (path / "suspended.new").unlink(missing_ok=True)
    for path in images.leftovers():
        path.unlink(missing_ok=True)


def leftovers(guests: Path, images: ImageCache, known: set[str], running: dict[str, int]) -> list[str]:
    """Paths, and `process <number>` for each QEMU that is no guest's.

    `running` is each guest's working directory and the number of its process.
    """
    found = [str(path) for path in guests.iterdir() if path.name not in known]
    found += [str(path) for path in images.leftovers()]
    for cwd, pids in process.find_all(guests).items():
        found += [f"process {pid}" for pid in pids if running.get(cwd) != pid]
    return found
