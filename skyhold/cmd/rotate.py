# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin rotate-keys`: new keys for tokens and for secrets at rest, while the cloud runs.

The control plane does it (core/operator/keys.py), because it signs with them.
"""

from __future__ import annotations

from skyhold.cmd.admin import ask
from skyhold.core.settings.whole import Settings


def run(settings: Settings) -> int:
    """1 when a secret could not be sealed anew."""
    answer = ask(settings, lambda client: client.post("/admin/v1/rotate-keys", {}))
    print("New keys are in use; tokens stay good, and secrets at rest are sealed anew.")
    if answer is None:
        return 0
    print("No key in `keys/master` opens these: bring the key back from a backup, or have their owners set them anew.")
    print("\n".join(f"    {place}" for place in answer["unopened"]))
    return 1
