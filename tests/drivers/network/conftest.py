# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the network engines' tests: a lab on each engine, gone without trace afterwards.

The labs are in labs.py. Native labs need root and are skipped, with the reason, where the engine
itself says that it can't run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from skyhold.network.drivers.base import EngineUnavailable
from skyhold.network.drivers.native import probe
from tests.drivers.network.labs import FakeLab, Lab, NativeLab


@pytest.fixture(params=["fake", pytest.param("native", marks=pytest.mark.root)])
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    made = FakeLab(tmp_path) if request.param == "fake" else await native_lab(tmp_path)
    await made.engine.start()
    yield made
    await made.close()


@pytest.fixture
async def native(tmp_path: Path) -> AsyncIterator[NativeLab]:
    """For what only packets and the kernel can tell."""
    made = await native_lab(tmp_path)
    await made.engine.start()
    yield made
    await made.close()


@pytest.fixture
async def unwatched(tmp_path: Path) -> AsyncIterator[NativeLab]:
    """A native lab whose engine doesn't look for damage by the clock; that rules went is told by the kernel."""
    made = await native_lab(tmp_path, check_every_s=3600)
    await made.engine.start()
    yield made
    await made.close()


async def native_lab(tmp_path: Path, **options: Any) -> NativeLab:
    try:
        await asyncio.to_thread(probe.capabilities)
    except EngineUnavailable as reason:
        # Whoever asks for the root tests asks for these: what is missing is named, never passed over.
        pytest.fail(str(reason))
    return NativeLab(tmp_path, **options)
