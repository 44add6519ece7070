# SPDX-License-Identifier: Apache-2.0
"""Placement's microversions, a line each.

What a field's range is stands at the field (the shapes of each resource); differences in meaning
ask `ctx.version >= versions.NAME`.
"""

from __future__ import annotations

from skyhold.core.versions import Version, Versions

MODIFIED_HEADERS = Version(1, 15)

VERSIONS = Versions("placement", "1.0", "1.39")
