# SPDX-License-Identifier: Apache-2.0
"""The log lines of one request are found wherever its file went, and what is not of its time is not read.

How long that takes among much is measured by script/bench; what a trace consists of besides is
tests/story/operator/test_sagas.py's.
"""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyhold.cmd import log_files
from skyhold.cmd.log_files import AROUND_US, FOREVER, Span, around, lines_with
from skyhold.cmd.trace import log_lines, span_of

BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
OURS = "req-11111111-1111-1111-1111-111111111111"


def us(second: float) -> int:
    return int((BEGAN + timedelta(seconds=second)).timestamp() * 1e6)


def line(second: float, request: str = "req-0") -> bytes:
    stamp = (BEGAN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
    entry = {"event": f"at {second:g}", "level": "info", "request_id": request, "timestamp": stamp, "path": "x" * 100}
    return orjson.dumps(entry) + b"\n"


def events(directory: Path, span: Span = FOREVER) -> list[str]:
    return [what.split(": ")[1].split(" path")[0] for _, _, what in sorted(log_lines(directory, OURS, span))]


def test_lines_of_every_log_and_of_those_rotated_away_in_the_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "serve.log.2.gz").write_bytes(gzip.compress(line(0) + line(1, OURS)))
    (tmp_path / "serve.log.1").write_bytes(line(2, OURS) + line(3))
    (tmp_path / "serve.log").write_bytes(line(5) + line(6, OURS))
    (tmp_path / "host.log").write_bytes(line(4, OURS).rstrip(b"\n"))
    (tmp_path / "empty.log").touch()
    assert [where for _, where, _ in sorted(log_lines(tmp_path, OURS))] == ["serve", "serve", "host", "serve"]
    assert events(tmp_path) == ["at 1", "at 2", "at 4", "at 6"]


def test_a_line_that_only_mentions_the_request_is_not_its_own(tmp_path: Path) -> None:
    about = orjson.dumps({"event": f"not {OURS}", "request_id": "req-0", "timestamp": "2020-01-01T00:00:00Z"})
    (tmp_path / "serve.log").write_bytes(about + b"\n" + b"half a line of " + OURS.encode() + b"\n" + line(1, OURS))
    assert events(tmp_path) == ["at 1"]


def test_lines_written_as_text_are_told_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "serve.log").write_text(f"2020-01-01T00:00:00Z [info] request request_id={OURS} status=201\n")
    told = [("2020-01-01T00:00:00.000000Z", "serve", f"[info] request request_id={OURS} status=201")]
    assert list(log_lines(tmp_path, OURS)) == told


@settings(max_examples=40)
@given(since=st.integers(0, 2000), length=st.integers(0, 1000), ours=st.lists(st.integers(0, 1999), max_size=5),
       silent=st.integers(0, 1999))
def test_no_line_of_the_time_is_missed(
    tmp_path_factory: pytest.TempPathFactory, since: int, length: int, ours: list[int], silent: int,
) -> None:
    """A line a second, one of them followed by much that tells no time, as a traceback does."""
    directory = tmp_path_factory.mktemp("logs")
    lines = [line(second, OURS if second in ours else "req-0") for second in range(2000)]
    lines[silent] += b"Traceback\n" * 2000
    (directory / "serve.log").write_bytes(b"".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_files, "SMALL", 4096)
        found = {float(event[3:]) for event in events(directory, Span(us(since), us(since + length)))}
    assert found >= {second for second in ours if since <= second <= since + length}


def test_what_is_of_another_time_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "SMALL", 4096)
    many = [line(second) for second in range(10_000)]
    (tmp_path / "serve.log").write_bytes(b"".join([line(0, OURS), *many[:5_000], line(5_000, OURS), *many[5_000:]]))
    assert events(tmp_path, Span(us(4_900), us(5_100))) == ["at 5000"]
    os.utime(tmp_path / "serve.log", ns=(us(10_000) * 1000,) * 2)
    monkeypatch.setattr(log_files, "plain", lambda *asked: pytest.fail("a file that was last written before was read"))
    assert events(tmp_path, Span(us(20_000), us(30_000))) == []


def test_the_time_of_a_request_is_what_journal_sagas_and_services_say() -> None:
    saga = {"created_at": us(2), "ended_at": us(9)}
    told = {"journal": [{"at": us(1)}], "sagas": [saga], "services": [{"at": us(4)}]}
    assert span_of(told) == Span(us(1) - AROUND_US, us(9) + AROUND_US)
    saga["ended_at"] = None
    assert span_of(told) == Span(us(1) - AROUND_US, FOREVER.until), "it goes on"
    assert span_of({"journal": [], "sagas": [], "services": []}) == FOREVER, "it was refused, who knows when"
    assert around([us(5)], going_on=False) == Span(us(5) - AROUND_US, us(5) + AROUND_US)
    assert list(lines_with(Path("/nonexistent"), b"x")) == []
