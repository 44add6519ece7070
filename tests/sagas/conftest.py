# SPDX-License-Identifier: Apache-2.0
"""Sagas are tested on every database of the run; how they are made is tests/kit/databases.py."""

from __future__ import annotations

from tests.kit.databases import core, database_url, servers

__all__ = ["core", "database_url", "servers"]
