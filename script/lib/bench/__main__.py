# SPDX-License-Identifier: Apache-2.0
"""`script/bench`: runs the lines that were asked for and prints what they reached.

The lines are in lines/, one file a subject; the cloud they measure is cloud.py and what a
measurement is stands in figures.py. Lines of one file share a cloud, so that seeds of one never
weigh on another. CPU is that of the cloud's own processes and, where there is one, of its database
server: the private one that was started for this run, which serves nobody else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from cloud import Cloud, Database
from figures import Figure, Line, Pair
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
    other = asked.database or ("postgresql" if asked.compare else "sqlite")
    names = ["sqlite", other] if asked.compare else [other]
    if other != "sqlite":
        print(f"CPU is the cloud's own processes' and the {other} server's.", file=sys.stderr)
    found: list[Figure | Pair] = []
    for figures in measured(asked.only, asked.guests, names):
        found.append(Pair(*figures) if asked.compare else figures[0])
        if not asked.json:
            print(found[-1].row(), flush=True)
    if asked.json:
        print(json.dumps([one.plain() for one in found], indent=2))
    if not found:
        sys.exit("No line has such a name: script/bench --list prints them.")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measure, and compare with the goals.")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--list", action="store_true", help="only print the names of the lines")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="lines whose name holds NAME")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "mariadb"],
                        help="a private server is started for it; its CPU counts too")
    parser.add_argument("--compare", action="store_true",
                        help="each line on SQLite and then on --database (postgresql), with how many times the CPU")
    parser.add_argument("--guests", type=Path, metavar="IMAGE", help="also boot real guests (root), from this image")
    asked = parser.parse_args()
    if asked.compare and asked.database == "sqlite":
        parser.error("--compare needs another database than sqlite")
    return asked


def measured(only: list[str], image: Path | None, names: list[str]) -> Iterator[list[Figure]]:
    """Each line on each of these databases in turn, so that a slow minute of the machine is all databases'."""
    with databases(names) as fresh:
        for lines, make in SUBJECTS:
            wanted = [line for line in lines if not only or any(word in line.name for word in only)]
            if make == Cloud.real and image is None:
                yield from ([Figure.not_run(line, "not run: needs --guests")] * len(names) for line in wanted)
            elif wanted:
                with ExitStack() as stack:
                    clouds = [stack.enter_context(make(image, one())) for one in fresh]
                    for line in wanted:
                        yield [figure(line, cloud) for cloud in clouds]


def figure(line: Line, cloud: Cloud) -> Figure:
    print(f"..  {line.name} ({cloud.database.name})", file=sys.stderr, flush=True)
    return line.measure(cloud)


@contextmanager
def databases(names: list[str]) -> Iterator[list[Callable[[], Database]]]:
    """For each name what makes a new one; servers live as long as this."""
    if names == ["sqlite"]:
        yield [Database]
        return
    # The tests' private servers, and so the tests' packages: only who asks for them needs those.
    from tests.kit.databases import MAKERS, Postgresql, Servers

    servers = Servers({**MAKERS, "postgresql": partial(Postgresql, tended=True)})

    def fresh(name: str) -> Database:
        if name == "sqlite":
            return Database()
        url = servers.fresh(name)
        return Database(name, url, servers.pid(name))

    try:
        yield [partial(fresh, name) for name in names]
    finally:
        servers.stop()


if __name__ == "__main__":
    sys.exit(main())
