# SPDX-License-Identifier: Apache-2.0
"""How Python's cycle collector is run in the cloud's long-lived processes.

It is told what serve.py and host.py know: that all that is made while starting stays for good.
Without that, a list of a thousand rows makes it walk through every module, table and route again,
which costs more than the list itself.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 100_000
"""New objects after which the young are looked through: more than a list of a thousand rows holds at once, so that no
request pays for a walk through what it is just making. The interpreter's 700 suit short scripts."""


def pause() -> None:
    """While starting nothing is collected."""
    gc.disable()


def settle() -> None:
    """From here on only what is made later is looked at. What was dropped while starting is not even looked for:
    it is a thousand small objects among two hundred thousand that stay, and looking took a tenth of the start."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 2, 10)
    gc.enable()
