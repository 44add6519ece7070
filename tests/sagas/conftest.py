# SPDX-License-Identifier: Apache-2.0
"""The runner is tested on every database of the run, the product's sagas in the stories' cloud."""

from __future__ import annotations

from tests.kit.databases import core, database_url, servers
from tests.story.compute.conftest import scene

__all__ = ["core", "database_url", "scene", "servers"]
