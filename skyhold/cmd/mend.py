# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin mend`: sets right one thing that `skyhold admin audit` found, and says what was done.

The control plane does it (core/operator/mend.py). The audit's own line names this command where it helps.
"""

from __future__ import annotations

from skyhold.cmd.admin import address, ask
from skyhold.core.settings.whole import Settings


def run(settings: Settings, kind: str, finding_id: str) -> int:
    print(ask(settings, lambda client: client.post(address("mend", kind, finding_id), {}))["done"])
    return 0
