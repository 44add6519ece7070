# SPDX-License-Identifier: Apache-2.0
"""The states of a server: Nova's vm_state, the tasks that pass through it, and legal moves.

`status` turns both into the one word that users see. Resting states may last; a server with a
task always has a live saga.
"""

from __future__ import annotations

from typing import Final

from skyhold.core.states import states

BUILDING: Final = "building"
ACTIVE: Final = "active"
STOPPED: Final = "stopped"
PAUSED: Final = "paused"
SUSPENDED: Final = "suspended"
ERROR: Final = "error"
DELETED: Final = "deleted"

SERVER = states(
    {
        BUILDING: "active error deleted",
        ACTIVE: "stopped paused suspended error deleted",
        STOPPED: "active error deleted",
        PAUSED: "active stopped error deleted",
        SUSPENDED: "active stopped error deleted",
        ERROR: "active stopped building deleted",
        DELETED: "",
    },
    resting="active stopped paused suspended error deleted",
)

# Tasks, in Nova's words.
SCHEDULING: Final = "scheduling"
SPAWNING: Final = "spawning"
POWERING_OFF: Final = "powering-off"
POWERING_ON: Final = "powering-on"
REBOOTING: Final = "rebooting"
REBOOTING_HARD: Final = "rebooting_hard"
PAUSING: Final = "pausing"
UNPAUSING: Final = "unpausing"
SUSPENDING: Final = "suspending"
RESUMING: Final = "resuming"
IMAGE_UPLOADING: Final = "image_uploading"
DELETING: Final = "deleting"

STATUS: Final = {
    BUILDING: "BUILD", ACTIVE: "ACTIVE", STOPPED: "SHUTOFF", PAUSED: "PAUSED", SUSPENDED: "SUSPENDED",
    ERROR: "ERROR", DELETED: "DELETED",
}
STATES_OF_STATUS: Final = {word: state for state, word in STATUS.items()} | {
    "REBOOT": ACTIVE, "HARD_REBOOT": ACTIVE,
}

# Nova's numbers for what the hypervisor says.
POWER_NONE, POWER_RUNNING, POWER_PAUSED, POWER_SHUTDOWN, POWER_CRASHED, POWER_SUSPENDED = 0, 1, 3, 4, 6, 7
POWER_NUMBERS: Final = {
    "running": POWER_RUNNING, "paused": POWER_PAUSED, "stopped": POWER_SHUTDOWN,
    "crashed": POWER_CRASHED, "suspended": POWER_SUSPENDED, "absent": POWER_NONE,
}


def status(state: str, task: str | None) -> str:
    """The word under `status`: a server that reboots is REBOOT, whatever its state."""
    if task == REBOOTING and state == ACTIVE:
        return "REBOOT"
    if task == REBOOTING_HARD and state in (ACTIVE, STOPPED, PAUSED, SUSPENDED, ERROR):
        return "HARD_REBOOT"
    return STATUS[state]
