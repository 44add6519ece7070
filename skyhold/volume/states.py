# SPDX-License-Identifier: Apache-2.0
"""The states of volumes, snapshots and attachments, in Cinder's words, and their legal moves.

Resting states may last; every other one is transitional and has a live saga that ends it. `attaching`,
`reserved` and `detaching` rest: whoever attaches says when it is done.
"""

from __future__ import annotations

from typing import Final

from skyhold.core.states import states

CREATING: Final = "creating"
AVAILABLE: Final = "available"
RESERVED: Final = "reserved"
ATTACHING: Final = "attaching"
IN_USE: Final = "in-use"
DETACHING: Final = "detaching"
EXTENDING: Final = "extending"
UPLOADING: Final = "uploading"
DELETING: Final = "deleting"
ERROR: Final = "error"
ERROR_EXTENDING: Final = "error_extending"
ERROR_DELETING: Final = "error_deleting"

RESTING: Final = "available reserved attaching in-use detaching error error_extending error_deleting"

VOLUME = states(
    {
        CREATING: "available error deleting",
        AVAILABLE: "reserved attaching in-use extending uploading deleting error",
        RESERVED: "available attaching in-use deleting error",
        ATTACHING: "available reserved in-use deleting error",
        IN_USE: "available detaching deleting error",
        DETACHING: "available in-use deleting error",
        EXTENDING: "available error_extending deleting",
        UPLOADING: "available deleting",
        DELETING: "error_deleting",
        ERROR: "available in-use deleting",
        ERROR_EXTENDING: "available deleting",
        ERROR_DELETING: "available deleting",
    },
    resting=RESTING,
)

SNAPSHOT = states(
    {
        CREATING: "available error deleting",
        AVAILABLE: "deleting error",
        DELETING: "error_deleting",
        ERROR: "available deleting",
        ERROR_DELETING: "available deleting",
    },
    resting="available error error_deleting",
)

ATTACHED: Final = "attached"

ATTACHMENT = states(
    {RESERVED: "attaching attached", ATTACHING: "attached reserved", ATTACHED: ""},
    resting="reserved attaching attached",
)

DELETABLE: Final = (AVAILABLE, ERROR, ERROR_EXTENDING, ERROR_DELETING)
"""What Cinder lets its owner delete, and here also what is still being made: deleting it stops the making."""
