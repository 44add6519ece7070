# SPDX-License-Identifier: Apache-2.0
"""`script/bench`: runs the lines that were asked for and prints what they reached.

The lines are in lines/, one file a subject; the cloud they measure is cloud.py and what a
measurement is stands in figures.py. Lines of one file share a cloud, so that seeds of one never
weigh on another. CPU is that of the cloud's own processes: a database server's is not in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from cloud import Cloud
from figures import Figure, Line
from lines import compute, events, footprint, guests, identity, image, network, operator, placement

SUBJECTS: list[tuple[list[Line], Callable[..., Cloud]]] = [
    (identity.LINES, Cloud.fake),
    (network.LINES, Cloud.fake),
    (compute.LINES, Cloud.fake),
    (placement.LINES, Cloud.fake),
    (image.LINES, Cloud.fake),
    (footprint.LINES, Cloud.fake),
    (events.LINES, Cloud.fake),
    (operator.LINES, Cloud.fake),
    (guests.LINES, Cloud.real),
]


def main() -> int:
    asked = arguments()
    if asked.list:
        print("\n".join(line.name for lines, _ in SUBJECTS for line in lines))
        return 0
    found: list[Figure] = []
    for figure in measured(asked.only, asked.guests, asked.database):
        found.append(figure)
        if not asked.json:
            print(figure.row(), flush=True)
    if asked.json:
        print(json.dumps([figure.plain() for figure in found], indent=2))
    if not found:
        sys.exit("No line has such a name: script/bench --list prints them.")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measure, and compare with the goals.")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--list", action="store_true", help="only print the names of the lines")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="lines whose name holds NAME")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "mariadb"], default="sqlite",
                        help="a private server is started for it")
    parser.add_argument("--guests", type=Path, metavar="IMAGE", help="also boot real guests (root), from this image")
    return parser.parse_args()


def measured(only: list[str], image: Path | None, database: str) -> Iterator[Figure]:
    if database == "sqlite":
        yield from measured_on(lambda: "", only, image)
        return
    # The tests' private servers, and so the tests' packages: only who asks for them needs those.
    from tests.kit.databases import Servers

    servers = Servers()
    try:
        yield from measured_on(lambda: servers.fresh(database), only, image)
    finally:
        servers.stop()


def measured_on(fresh: Callable[[], str], only: list[str], image: Path | None) -> Iterator[Figure]:
    for lines, make in SUBJECTS:
        wanted = [line for line in lines if not only or any(word in line.name for word in only)]
        if make == Cloud.real and image is None:
            yield from (Figure.not_run(line, "not run: needs --guests") for line in wanted)
        elif wanted:
            with make(image, fresh()) as cloud:
                for line in wanted:
                    print(f"..  {line.name}", file=sys.stderr, flush=True)
                    yield line.measure(cloud)


if __name__ == "__main__":
    sys.exit(main())
