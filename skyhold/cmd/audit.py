# SPDX-License-Identifier: Apache-2.0
"""`skyhold admin audit`: prints whatever doesn't fit together, each with its remedy.

The control plane does the comparing (core/operator/audit.py), for it alone reaches hosts and database.
"""

from __future__ import annotations

import json

from skyhold.cmd.admin import ask
from skyhold.core.settings.whole import Settings


def run(settings: Settings, as_json: bool = False) -> int:
    """1 when anything was found."""
    findings = ask(settings, lambda client: client.get("/admin/v1/audit"))["findings"]
    if as_json:
        print(json.dumps(findings, indent=2))
    else:
        for one in findings:
            print(f"{one['kind']} {one['id']}\n    {one['sentence']}\n    {one['remedy']}")
        print(f"{len(findings)} findings." if findings else "Everything fits together.")
    return 1 if findings else 0
