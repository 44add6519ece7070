# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin saga list|show|retry|abort`: the work under way, for people.

What can be asked is core/operator/sagas.py; secrets were taken out there.
"""

from __future__ import annotations

import json
from typing import Any

from skyhold.cmd.admin import address, ask
from skyhold.core.settings.whole import Settings


def table(settings: Settings) -> int:
    sagas = ask(settings, lambda client: client.get(address("sagas")))["sagas"]
    for one in sagas:
        late = f", {one['overdue_s']:g} s past its deadline" if one["overdue_s"] else ""
        print(f"{one['id']}  {one['kind']} of {one['subject']}: {one['state']} at {one['step'] or 'its end'}, "
              f"attempt {one['attempt']}, {one['age_s']:g} s old{late}")
    if not sagas:
        print("No saga is live.")
    return 0


def show(settings: Settings, saga_id: str) -> int:
    return tell(ask(settings, lambda client: client.get(address("sagas", saga_id)))["saga"])


def steer(settings: Settings, saga_id: str, verb: str) -> int:
    """`verb` is `retry` or `abort`."""
    return tell(ask(settings, lambda client: client.post(address("sagas", saga_id, verb), {}))["saga"])


def tell(saga: dict[str, Any]) -> int:
    for name, value in saga.items():
        text = json.dumps(value) if isinstance(value, dict | list) else value
        print(f"{name:12} {'' if text is None else text}")
    return 0
