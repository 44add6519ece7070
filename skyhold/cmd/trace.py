# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin trace`: all that a request did, from journal, sagas, instance actions and this machine's logs.

All but the logs come from the control plane (core/operator/trace.py). Log files are searched as mapped
bytes, because most of their lines belong to other requests.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skyhold.cmd.admin import ask
from skyhold.core.settings import Settings

Line = tuple[str, str, str]
"""Time as ISO 8601 in UTC, where it was said, and what."""

PLAIN = ("timestamp", "level", "event", "request_id")


def run(settings: Settings, request_id: str) -> int:
    """1 when nothing is known of the request."""
    told = ask(settings, lambda client: client.get(f"/admin/v1/trace/{request_id}"))
    written = [*journal_lines(told), *saga_lines(told), *service_lines(told)]
    lines = sorted([*written, *log_lines(settings.log_dir, request_id)])
    for at, where, what in lines:
        print(f"{at}  {where:8} {what}")
    if not lines:
        print(f"Nothing is known of {request_id}.")
    return 0 if lines else 1


def journal_lines(told: dict[str, Any]) -> Iterator[Line]:
    for row in told["journal"]:
        actor = f" by {row['actor']}" if row["actor"] else ""
        yield iso(row["at"]), "journal", f"{row['action']} {row['resource_id']}{actor}"


def saga_lines(told: dict[str, Any]) -> Iterator[Line]:
    for saga in told["sagas"]:
        name = f"{saga['kind']} of {saga['subject']} ({saga['id']})"
        yield iso(saga["created_at"]), "saga", f"{name} starts"
        if saga["ended_at"] is not None:
            error = f": {saga['error']}" if saga["error"] else ""
            yield iso(saga["ended_at"]), "saga", f"{name} {saga['state']} after {', '.join(saga['done'])}{error}"
        else:
            # What is under way stands at the end of the story.
            yield iso(saga["due_at"]), "saga", f"{name} is at {saga['step']}, attempt {saga['attempt']}"


def service_lines(told: dict[str, Any]) -> Iterator[Line]:
    for one in told["services"]:
        yield iso(one["at"]), one["service"], one["what"]


def log_lines(directory: Path, request_id: str) -> Iterator[Line]:
    for path in sorted(directory.glob("*.log")):
        for line in lines_with(path, request_id.encode()):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("request_id") == request_id:
                more = " ".join(f"{name}={value}" for name, value in entry.items() if name not in PLAIN)
                what = f"{entry.get('level', '')}: {entry.get('event', '')} {more}"
                yield whole(str(entry.get("timestamp", ""))), path.stem, what


def lines_with(path: Path, words: bytes) -> Iterator[bytes]:
    """Every line of the file that has the words in it."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        text.madvise(mmap.MADV_SEQUENTIAL)
        at = text.find(words)
        while at >= 0:
            end = text.find(b"\n", at)
            end = end if end >= 0 else len(text)
            yield text[text.rfind(b"\n", 0, at) + 1:end]
            at = text.find(words, end)


def iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def whole(stamp: str) -> str:
    """A logged time; one on the full second is written without its fraction."""
    return stamp if "." in stamp else stamp.replace("Z", ".000000Z")
