# SPDX-License-Identifier: Apache-2.0
"""Agents and the metadata service share a loop with those who talk to them: it leaves out the machine's pauses."""

from __future__ import annotations

from tests.kit.steady import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
