# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin trace`: all that a request did, from journal, sagas, instance actions and this machine's logs.

All but the logs come from the control plane (core/operator/trace.py), which also knows when it was: how their files
are searched is log_files.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skyhold.cmd import log_files
from skyhold.cmd.admin import address, ask
from skyhold.core.settings.whole import Settings

Line = tuple[str, str, str]
"""Time as ISO 8601 in UTC, where it was said, and what."""

PLAIN = ("timestamp", "level", "event", "request_id")


def run(settings: Settings, request_id: str) -> int:
    """1 when nothing is known of the request."""
    told = ask(settings, lambda client: client.get(address("trace", request_id)))
    written = [*journal_lines(told), *saga_lines(told), *service_lines(told)]
    lines = sorted([*written, *log_lines(settings.log_dir, request_id, span_of(told))])
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


def span_of(told: dict[str, Any]) -> log_files.Span:
    """When the logs may say more of it; of a request that was refused, and so wrote nothing, the time is unknown."""
    saga_times = [at for saga in told["sagas"] for at in (saga["created_at"], saga["ended_at"]) if at is not None]
    times = [one["at"] for one in (*told["journal"], *told["services"])] + saga_times
    return log_files.around(times, going_on=any(saga["ended_at"] is None for saga in told["sagas"]))


def log_lines(directory: Path, request_id: str, span: log_files.Span = log_files.FOREVER) -> Iterator[Line]:
    for name, line in log_files.lines_with(directory, request_id.encode(), span):
        if (found := json_line(line, request_id) or text_line(line)) is not None:
            yield found[0], name, found[1]


def json_line(line: bytes, request_id: str) -> tuple[str, str] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("request_id") != request_id:
        return None
    more = " ".join(f"{name}={value}" for name, value in entry.items() if name not in PLAIN)
    return whole(str(entry.get("timestamp", ""))), f"{entry.get('level', '')}: {entry.get('event', '')} {more}"


def text_line(line: bytes) -> tuple[str, str] | None:
    """One written with `log.format = "text"`."""
    if log_files.STAMP.match(line) is None:
        return None
    at, _, what = line.decode(errors="replace").partition(" ")
    return whole(at), what


def iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def whole(stamp: str) -> str:
    """A logged time; one on the full second is written without its fraction."""
    return stamp if "." in stamp else stamp.replace("Z", ".000000Z")
