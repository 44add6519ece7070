# SPDX-License-Identifier: Apache-2.0
"""Keys of this cloud: the master key that seals secrets at rest, and rotating Fernet sets.

Tokens are identity's business; it asks here for a set. A set is a directory of numbered files,
the highest being the one that signs; files are 0600 and written whole before they are seen. Several
processes share it: each looks whether another has rotated before it seals, and when it can't open.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

ROOT = "root"
"""The file of the key that `derive` starts from: it never rotates."""
MARK = "gAAAA"
"""How everything begins that was sealed by a set; the rest isn't worth a look at the disk."""


FERNET = re.compile(rb"[A-Za-z0-9_-]{43}=")


class Damaged(Exception):
    """A key file is no key: what it sealed can't be opened until it is whole again."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"The key {path} is damaged: bring it back from a backup; what it sealed is lost without it.")


class KeySet:
    """Seals with the newest key, opens with any. `rotate` keeps `keep` keys."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._files():
            self._write("0", Fernet.generate_key())
        if not (directory / ROOT).exists():
            self._write(ROOT, self._read()[-1])
        self._root = (directory / ROOT).read_bytes()
        self.keys: list[bytes] = []
        """Newest first, as they were last read."""
        self.reload()

    def seal(self, secret: bytes) -> str:
        self._look()
        return self._fernet.encrypt(secret).decode()

    def open(self, sealed: str) -> bytes:
        """Raises ValueError when no key of the set made this."""
        while True:
            try:
                return self._fernet.decrypt(sealed.encode())
            except InvalidToken:
                if not sealed.startswith(MARK) or not self._look():
                    raise ValueError("sealed with an unknown key") from None

    def reseal(self, sealed: str) -> str:
        """The same secret, sealed with the newest key. Raises ValueError as `open` does."""
        return self.seal(self.open(sealed))

    def current(self) -> list[bytes]:
        """The keys as they are at this moment, newest first: another process may have rotated."""
        self._look()
        return self.keys

    def derive(self, label: str, length: int) -> bytes:
        """Bytes that are always the same for a label, through every rotation, and can't be guessed."""
        return hashlib.shake_256(self._root + label.encode()).digest(length)

    def rotate(self, keep: int = 3) -> None:
        """Add a key and forget the oldest beyond `keep`; what they sealed can't be opened any more."""
        while not self._write(str(max(self._files()) + 1), Fernet.generate_key()):
            # Another process rotated just then: ours comes after its.
            continue
        for number in sorted(self._files())[:-keep]:
            (self._directory / str(number)).unlink(missing_ok=True)
        self.reload()

    def reload(self) -> None:
        self.keys = self._read()
        self._fernet = MultiFernet([Fernet(key) for key in self.keys])

    @property
    def newest_at_s(self) -> float:
        """When the key that signs was made, in seconds since 1970."""
        return (self._directory / str(max(self._files()))).stat().st_mtime

    def _look(self) -> bool:
        """Take in what another process has changed; whether it did."""
        if self._known == set(self._files()):
            return False
        self.reload()
        return True

    def _read(self) -> list[bytes]:
        """Newest first."""
        gone: str | None = None
        while True:
            numbers = sorted(self._files(), reverse=True)
            try:
                keys = [(self._directory / str(number)).read_bytes() for number in numbers]
            except FileNotFoundError as error:
                # Another process rotates at this moment; a link that leads nowhere is still there when looked at again.
                if gone == str(error.filename):
                    raise Damaged(Path(gone)) from None
                gone = str(error.filename)
                continue
            for number, key in zip(numbers, keys, strict=True):
                if not FERNET.fullmatch(key):
                    raise Damaged(self._directory / str(number))
            self._known = set(numbers)
            return keys

    def _files(self) -> list[int]:
        return [int(name) for name in os.listdir(self._directory) if name.isdigit()]

    def _write(self, name: str, key: bytes) -> bool:
        """Whether it was us who made this file: one that is there is never replaced."""
        temporary = self._directory / f".{name}.{secrets.token_hex(4)}"
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, self._directory / name)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True
