# SPDX-License-Identifier: Apache-2.0
"""The story of one request is told within a second, however much else was written down.

What the story consists of is tests/story/operator/test_sagas.py's; how many rows and bytes are in the way can be set by
SKYHOLD_TEST_JOURNAL_ROWS and SKYHOLD_TEST_LOG_MB.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson

from skyhold.cmd.trace import log_lines
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.tables import JOURNAL
from tests.kit.cloud import start_cloud

ROWS = int(os.environ.get("SKYHOLD_TEST_JOURNAL_ROWS", "200000"))
LOG_MB = int(os.environ.get("SKYHOLD_TEST_LOG_MB", "100"))
BATCH = 10_000


async def test_a_trace_in_a_large_journal_and_a_large_log_takes_under_a_second(tmp_path: Path) -> None:
    cloud = await start_cloud(tmp_path / "cloud")
    try:
        for start in range(0, ROWS, BATCH):
            await internal(cloud.core).write(others, start)
        made = await cloud.admin.post("/identity/v3/regions", {"region": {"id": "told"}}, status=201)
        request_id = made.headers["x-openstack-request-id"]
        fill(tmp_path / "serve.log", request_id)
        began = time.perf_counter()
        told = (await cloud.admin.get(f"/admin/v1/trace/{request_id}", status=200)).json
        lines = list(log_lines(tmp_path, request_id))
        took_s = time.perf_counter() - began
    finally:
        await cloud.core.stop()
    print(f"\ntrace: {took_s * 1e3:.0f} ms among {ROWS} rows of the journal and {LOG_MB} MB of log")
    assert [row["resource_id"] for row in told["journal"]] == ["told"]
    assert len(lines) == 3
    assert took_s < 1


def others(tx: Tx, ctx: Context, start: int) -> None:
    """Rows of other requests, four each."""
    common = {"at": tx.now, "actor": "a" * 32, "project_id": "b" * 32, "service": "compute", "kind": "server"}
    tx.execute(JOURNAL.insert(), [
        common | {"request_id": f"req-{n // 4:036}", "resource_id": f"{n:036}", "action": "server.update",
                  "state": {"name": "x" * 100}}
        for n in range(start, start + BATCH)
    ])


def fill(path: Path, request_id: str) -> None:
    """Lines of others, and three of ours: at the beginning, in the middle, at the end."""
    def line(request: str) -> bytes:
        return orjson.dumps({"event": "request", "request_id": request, "timestamp": "2030-01-01T00:00:00Z",
                             "path": "/v2.1/servers/" + "x" * 200}) + b"\n"

    block = line("req-" + "0" * 36) * (LOG_MB * 1024 * 1024 // 2 // 330)
    ours = line(request_id)
    path.write_bytes(ours + block + ours + block + ours)
