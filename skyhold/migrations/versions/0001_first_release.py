# SPDX-License-Identifier: Apache-2.0
"""The schema of the first release: where every database begins.

There is nothing to do: an empty database is made from the tables' declarations (core/schema.py), and
none is older. Later revisions say what changed since.
"""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing is older than this."""
