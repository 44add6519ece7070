# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the contract kit: the land of the tenancy kit, where everything exists once."""

from __future__ import annotations

from tests.tenancy.conftest import cloud, land

__all__ = ["cloud", "land"]
