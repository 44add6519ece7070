# SPDX-License-Identifier: Apache-2.0
"""Every secret that the run's clients sent or were told, and every line that was logged meanwhile: none is in any.

Clients (client.py) hand over what passes by, clouds (cloud.py) what is logged; tests/conftest.py asks at the end of the
run. The one thing to know first: a secret is known by the name that it stands under in a body, or by its header, so a
story of a new service is covered by having one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

LEAST = 10
"""Shorter ones are words of the stories, and stand in paths and names too."""
NAMES = (
    "password", "original_password", "adminPass", "secret", "private_key", "user_data", "passcode", "auth_password",
    "client_secret", "access_token", "refresh_token", "id_token", "code_verifier", "assertion", "signature",
)
BLOB = ("credential", "blob")
"""A credential's is one; a policy's isn't."""
NAMED = re.compile(rb'"(?:' + "|".join((*NAMES, *BLOB)).encode() + rb')"\s*:')
HEADERS = (
    b"x-auth-token", b"x-subject-token", b"x-service-token", b"authorization", b"x-account-meta-temp-url-key",
    b"x-container-meta-temp-url-key", b"openstack-auth-receipt",
)
PIECE = re.compile(r"[A-Za-z0-9]{8,}")


class Secrecy:
    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115

    def logged(self, text: str) -> None:
        self._log.write(text)

    def passed(self, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """One message, of either direction."""
        for name, value in headers:
            if name.lower() in HEADERS:
                self.keep(value.decode("latin-1").rpartition(" ")[2])
        if NAMED.search(body):
            try:
                self._look(orjson.loads(body))
            except orjson.JSONDecodeError:
                return

    def keep(self, secret: str) -> None:
        if len(secret) >= LEAST and PIECE.search(secret):
            self._secrets.add(secret)

    def leaked(self) -> list[str]:
        """Lines that hold one."""
        by_piece: dict[str, list[str]] = {}
        for secret in self._secrets:
            by_piece.setdefault(max(PIECE.findall(secret), key=len), []).append(secret)
        found = []
        self._log.seek(0)
        for line in self._log:
            suspects = {secret for piece in PIECE.findall(line) for secret in by_piece.get(piece, ())}
            found += [f"{secret[:12]}… in {line[:300]}" for secret in suspects if secret in line]
        self._log.seek(0, 2)
        return found

    def _look(self, value: Any) -> None:
        for name, inner in pairs(value):
            if isinstance(inner, str):
                if name in NAMES:
                    self.keep(inner)
            elif name == BLOB[0] and isinstance(inner, dict):
                self.keep(str(inner.get(BLOB[1], "")))
            else:
                self._look(inner)


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from (("", each) for each in value)


RUN = Secrecy()
"""Of this run of pytest."""
