# SPDX-License-Identifier: Apache-2.0
"""The tests of the loop run in it."""

from __future__ import annotations

from tests.kit.steady import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
