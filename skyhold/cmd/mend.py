# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin mend`: sets right one thing that `skyhold admin audit` found, and says what was done.

The control plane does it (core/operator/mend.py). The audit's own line names this command where it helps.
"""

from __future__ import annotations

from urllib.parse import quote

from skyhold.cmd.admin import ask
from skyhold.core.settings.whole import Settings


def run(settings: Settings, kind: str, finding_id: str) -> int:
    path = f"/admin/v1/mend/{quote(kind, safe='')}/{quote(finding_id, safe='')}"
    print(ask(settings, lambda client: client.post(path, {}))["done"])
    return 0
