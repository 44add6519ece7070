# SPDX-License-Identifier: Apache-2.0
"""One-time passwords from a shared seed and the time (RFC 6238, with RFC 4226 below it).

Where seeds are kept, and that a code is good only once, is auth/totp.py. A code has six digits and counts for
one step of thirty seconds.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

DIGITS = 6
STEP_S = 30


def step_of(at_us: int) -> int:
    """The step that a moment in microseconds is in."""
    return at_us // (STEP_S * 1_000_000)


def seed_of(text: str) -> bytes | None:
    """A seed as authenticator programs show it, base32 in any case, with or without its padding; None if it isn't."""
    bare = "".join(text.split()).rstrip("=").upper()
    try:
        return base64.b32decode(bare + "=" * (-len(bare) % 8)) or None
    except (binascii.Error, ValueError):
        return None


def code(seed: bytes, step: int) -> str:
    return HOTP(seed, DIGITS, SHA1(), enforce_key_length=False).generate(step).decode()  # noqa: S303


def matching_step(seed: bytes, given: str, steps: Iterable[int]) -> int | None:
    """The step whose code this is, if any; every step is looked at, so the time taken tells nothing."""
    found = None
    for step in steps:
        if hmac.compare_digest(code(seed, step).encode(), given.encode()):
            found = step
    return found
