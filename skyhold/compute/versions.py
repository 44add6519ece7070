# SPDX-License-Identifier: Apache-2.0
"""Compute's microversions: those that change what this service does or says, a line each.

What a field's range is stands at the field (shape.py of each resource); differences in meaning
ask `ctx.version >= versions.NAME`. Versions between those named change nothing here.
"""

from __future__ import annotations

from skyhold.core.versions import Version, Versions

KEYPAIR_TYPES = Version(2, 2)
KEYPAIR_OF_OTHER_USER = Version(2, 10)
KEYPAIR_PAGES = Version(2, 35)
KEYPAIR_IMPORT_ONLY = Version(2, 92)

VERSIONS = Versions(
    "compute", "2.1", "2.96",
    legacy_header="X-OpenStack-Nova-API-Version",
    aliases=("nova",),
    lines={
        "2.2": "Keypairs have types; creating one answers 201, deleting one 204.",
        "2.10": "An administrator may act on another user's keypairs.",
        "2.35": "Keypairs are listed in pages.",
        "2.92": "Keypairs are only imported, never made by the server.",
    },
)
