# SPDX-License-Identifier: Apache-2.0
"""How a delivery proves that it is ours, and how long to wait after a failed one.

Who sends is loops/deliver.py; for the receiver's side see docs/howto/receive-webhooks.md. The one thing to
know first: the moment is signed together with the body, so an old delivery can't be replayed unnoticed.
"""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE = "Skyhold-Signature"
TIMESTAMP = "Skyhold-Timestamp"
POSITION = "Skyhold-Event"
WEBHOOK = "Skyhold-Webhook"
FIRST_WAIT_S = 1
LONGEST_WAIT_S = 300


def signature(secret: bytes, timestamp_s: int, body: bytes) -> str:
    """`v1=` and the hex HMAC-SHA256 of the timestamp in decimal, a full stop, and the body as sent."""
    return "v1=" + hmac.new(secret, b"%d." % timestamp_s + body, hashlib.sha256).hexdigest()


def headers(secret: bytes, webhook_id: str, position: int, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of one delivery."""
    return {
        "Content-Type": "application/json",
        WEBHOOK: webhook_id,
        POSITION: str(position),
        TIMESTAMP: str(timestamp_s),
        SIGNATURE: signature(secret, timestamp_s, body),
    }


def wait_s(attempts: int) -> int:
    """Seconds until the next try, after so many that failed: 1, 2, 4 … five minutes."""
    return int(min(FIRST_WAIT_S * 2 ** min(attempts - 1, 20), LONGEST_WAIT_S))
