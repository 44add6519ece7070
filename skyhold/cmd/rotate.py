# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin rotate-keys`: new keys for tokens and for secrets at rest, while the cloud runs.

The control plane does it (core/operator/keys.py), because it signs with them.
"""

from __future__ import annotations

from skyhold.cmd.admin import ask
from skyhold.core.settings.whole import Settings


def run(settings: Settings) -> int:
    ask(settings, lambda client: client.post("/admin/v1/rotate-keys", {}))
    print("New keys are in use; tokens stay good, and secrets at rest are sealed anew.")
    return 0
