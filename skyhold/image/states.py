# SPDX-License-Identifier: Apache-2.0
"""The states of an image and the moves between them.

Who moves an image is in files.py (upload), staging.py, sagas/ (imports) and images/ops.py (deactivate, reactivate).
`saving` is held by a living upload: when it dies, the image is queued again (loops/uploads.py).
"""

from __future__ import annotations

from typing import Final

from skyhold.core.states import states

QUEUED: Final = "queued"
SAVING: Final = "saving"
UPLOADING: Final = "uploading"
IMPORTING: Final = "importing"
ACTIVE: Final = "active"
DEACTIVATED: Final = "deactivated"

IMAGE: Final = states(
    {
        QUEUED: "saving uploading importing active", SAVING: "active queued", UPLOADING: "importing queued",
        IMPORTING: "active queued", ACTIVE: "deactivated queued", DEACTIVATED: "active",
    },
    # What was staged may wait for its import.
    resting="queued uploading active deactivated",
)

PENDING: Final = "pending"
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
MEMBER: Final = (PENDING, ACCEPTED, REJECTED)

KNOWN: Final = (
    QUEUED, SAVING, UPLOADING, IMPORTING, ACTIVE, DEACTIVATED, "killed", "deleted", "pending_delete",
)
"""Every status the API knows: a filter may ask for one that no image here has."""

PENDING_TASK: Final = "pending"
PROCESSING: Final = "processing"
SUCCESS: Final = "success"
FAILURE: Final = "failure"

TASK_TYPES: Final = ("import", "api_image_import", "location_import")
TASK: Final = states(
    {PENDING_TASK: "processing success failure", PROCESSING: "success failure"},
    resting="success failure",
)
