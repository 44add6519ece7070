# SPDX-License-Identifier: Apache-2.0
"""${message}: what changed and why.

Expand first, contract a release later: the program before this one must still run on the result.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
