# SPDX-License-Identifier: Apache-2.0
"""What the operator's commands share: asking the running control plane as its administrator.

The commands are audit.py, sagas.py and trace.py; what they ask is core/operator.
"""

from __future__ import annotations

import sys
import urllib.error
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from skyhold.cmd.client import Client, Refused, reason_of
from skyhold.core import tls
from skyhold.core.settings.whole import Settings


def address(*parts: str) -> str:
    """In the operator's API; an id that somebody types may hold anything."""
    return "/admin/v1/" + "/".join(quote(part, safe="") for part in parts)


def ask(settings: Settings, question: Callable[[Client], Any]) -> Any:
    """The answer; ends the program with a sentence when the cloud doesn't run or says no."""
    path = settings.home / "admin-password"
    tls.trust(settings)
    try:
        client = Client(settings.public_url, "admin", path.read_text().strip(), "admin")
        return question(client)
    except FileNotFoundError:
        sys.exit(f"There is no cloud in {settings.home}: start one with `skyhold up`, or name another with --home.")
    except Refused as refused:
        sys.exit(f"{refused.status}: {reason_of(refused.text)}")
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        sys.exit(f"The control plane at {settings.public_url} does not answer ({error}): start it with `skyhold up`.")
