# SPDX-License-Identifier: Apache-2.0
"""Runs areas of Tempest on a throw-away cloud, and says what passed, failed and broke.

The cloud is cloud.py, the run suite.py, the page of failures report.py, the committed lists
baseline.py. Each area has a cloud of its own, so that none stumbles over another's leavings.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

import baseline
import report
import suite
from cloud import Cloud

REPO = Path(__file__).resolve().parents[3]


def main() -> int:
    asked = arguments()
    # Whoever ends this early still wants the cloud gone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    words = [run(area, asked) for area in asked.areas]
    for lines, _ in words:
        print(lines)
    return max(code for _, code in words)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/conformance")
    parser.add_argument("areas", nargs="+", choices=sorted(suite.AREAS), metavar="AREA")
    parser.add_argument("--suites", type=Path, required=True)
    parser.add_argument("--guests", type=Path, metavar="IMAGE")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=120, help="minutes that one area may take")
    parser.add_argument("--only", default="")
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    if asked.record and (asked.only or asked.smoke):
        parser.error("--record needs the whole area: leave --only and --smoke out")
    return asked


def run(area: str, asked: argparse.Namespace) -> tuple[str, int]:
    """The area's last line, and 1 if a test fails that used to pass."""
    began = time.monotonic()
    folder = REPO / ".conformance" / area
    wanted = [name for name in suite.tests_of(area, asked.suites) if asked.only in name]
    if not wanted:
        sys.exit(f"No test of {area} holds {asked.only!r} in its name.")
    with Cloud(image=asked.guests) as cloud:
        say(f"{area}: a cloud at {cloud.url}")
        outcomes = suite.run(folder, wanted, suite.Plan(
            configuration=(asked.suites / "tempest.conf.in").read_text(), values=cloud.values(),
            workers=asked.workers, limit_s=asked.limit * 60, guests=asked.guests is not None,
            smoke=asked.smoke, formats=cloud.formats,
        ))
        cloud.keep_logs(folder / "cloud-logs")
    page = report.write(folder, area, outcomes)
    say(f"{area}: {time.monotonic() - began:.0f} s; every failure with its requests: {page}")
    broken = baseline.broken(REPO, area, outcomes)
    for name in broken:
        say(f"!!  passed before, now {outcomes[name].verdict}: {name}")
    if asked.record:
        baseline.record(REPO, area, outcomes)
    return suite.count(area, outcomes), int(bool(broken) and not asked.record)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
