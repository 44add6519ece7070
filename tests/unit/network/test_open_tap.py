# SPDX-License-Identifier: Apache-2.0
"""A tap that is opened for somebody who has gone meanwhile is nobody's, and free again.

What the engine does to the kernel is tests/drivers/network; nothing here needs root.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from skyhold.network.drivers.native.engine import NativeEngine


async def test_nobodys_tap_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = NativeEngine("cloud", tmp_path)
    monkeypatch.setattr(engine, "_require_started", lambda: None)
    engine._writer.world.objects["Port", "p"] = None
    begun, go, opened = threading.Event(), threading.Event(), []

    def open_tap(port_id: str) -> int:
        begun.set()
        go.wait(10)
        opened.append(os.open(tmp_path, os.O_RDONLY))
        return opened[0]

    monkeypatch.setattr(engine._writer, "open_tap", open_tap)
    asking = asyncio.create_task(engine.open_tap("p"))
    await asyncio.to_thread(begun.wait, 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go.set()
    await asyncio.to_thread(engine._thread.shutdown)
    await asyncio.sleep(0.05)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
