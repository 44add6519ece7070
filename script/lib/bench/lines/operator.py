# SPDX-License-Identifier: Apache-2.0
"""The operator's line: one request's story among a million rows of the journal and 500 MB of logs.

So much can't be made through the API in reasonable time: rows and lines of others are written beside the running
cloud. Before each telling the kernel is asked to forget the log's bytes, as it has on a machine with other work.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cloud import Cloud
from figures import Goal, Line

ROWS = 1_000_000
BATCH = 5_000
LOG_MB = 500
BLOCK = 10_000
TOLD = 7
DAYS = timedelta(days=15)


def trace(cloud: Cloud) -> dict[str, Any]:
    """The command as it is typed, with the start of its Python."""
    asyncio.run(fill_journal(cloud.database_url))
    made = cloud.wire().ask("POST", "/identity/v3/regions", {"region": {"id": "told"}})
    request_id = made.headers["X-Openstack-Request-Id"]
    log = cloud.home / "log" / "serve.log.1"
    fill_log(log)
    walls = []
    for _ in range(TOLD):
        forget(log)
        began = time.perf_counter()
        told = cloud.skyhold("admin", "trace", request_id)
        walls.append(time.perf_counter() - began)
        if "region" not in told or "status=201" not in told:
            raise SystemExit(f"the story of {request_id} is not whole:\n{told}")
    note = f"{ROWS:,} rows, {LOG_MB} MB of log, with Python's start"
    return {"wall_ms": statistics.median(walls) * 1e3, "note": note}


async def fill_journal(url: str) -> None:
    """Rows of other requests, four each, as if they had been numbered long ago."""
    from skyhold.core.db.engine import open_database
    from skyhold.core.tables import JOURNAL

    def write(conn: sa.Connection) -> None:
        last = conn.execute(sa.select(sa.func.coalesce(sa.func.max(JOURNAL.c.position), 0))).scalar_one()
        for start in range(0, ROWS, BATCH):
            conn.execute(JOURNAL.insert(), [row(n, last) for n in range(start, start + BATCH)])

    database = await open_database(url)
    try:
        await database.alter(write)
    finally:
        await database.close()


def row(n: int, last: int) -> dict[str, Any]:
    return {
        "position": last + 1 + n, "at": time.time_ns() // 1000, "actor": "a" * 32, "project_id": "b" * 32,
        "service": "compute", "kind": "server", "action": "server.update", "state": {"name": "x" * 100},
        "request_id": f"req-{uuid.UUID(int=n // 4)}", "resource_id": str(uuid.UUID(int=n)),
    }


def fill_log(path: Path) -> None:
    """Lines of others from two weeks before until two weeks after now, so that ours fall into the middle."""
    now, size = datetime.now(UTC), LOG_MB << 20
    with path.open("wb") as file:
        while (written := file.tell()) < size:
            at = now + DAYS * (2 * written / size - 1)
            file.writelines(other(at) for _ in range(BLOCK))


def other(at: datetime) -> bytes:
    stamp = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return (
        f'{{"event":"request","request_id":"req-{uuid.uuid4()}","service":"compute","method":"GET","status":200,'
        f'"path":"/v2.1/servers/{uuid.uuid4()}","ms":4.2,"level":"info","timestamp":"{stamp}"}}\n'.encode()
    )


def forget(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


LINES = [Line("admin trace among 1,000,000 rows", Goal("wall_ms", 1000, "< 1 s wall"), trace)]
