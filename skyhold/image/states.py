# SPDX-License-Identifier: Apache-2.0
"""The states of an image and the moves between them.

Who moves an image is in files.py (upload) and actions.py (deactivate, reactivate). `saving` is
held by a living upload: when it dies, the image is queued again (loops/uploads.py).
"""

from __future__ import annotations

from typing import Final

from skyhold.core.states import states

QUEUED: Final = "queued"
SAVING: Final = "saving"
ACTIVE: Final = "active"
DEACTIVATED: Final = "deactivated"

IMAGE: Final = states(
    {QUEUED: "saving", SAVING: "active queued", ACTIVE: "deactivated", DEACTIVATED: "active"},
    resting="queued active deactivated",
)

PENDING: Final = "pending"
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
MEMBER: Final = (PENDING, ACCEPTED, REJECTED)

KNOWN: Final = (
    QUEUED, SAVING, "uploading", "importing", ACTIVE, DEACTIVATED, "killed", "deleted", "pending_delete",
)
"""Every status the API knows: a filter may ask for one that no image here has."""
