# SPDX-License-Identifier: Apache-2.0
"""Keys of this cloud: the master key that seals secrets at rest, and rotating Fernet sets.

Tokens are identity's business; it asks here for a set. A set is a directory of numbered files,
the highest being the one that signs; files are 0600 and written whole before they are seen.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

ROOT = "root"
"""The file of the key that `derive` starts from: it never rotates."""
MARK = "gAAAA"
"""How everything begins that was sealed by a set; the rest isn't worth a look at the disk."""


class KeySet:
    """Seals with the newest key, opens with any. `rotate` keeps `keep` keys."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._files():
            self._write("0", Fernet.generate_key())
        if not (directory / ROOT).exists():
            self._write(ROOT, self.keys[0])
        self._root = (directory / ROOT).read_bytes()
        self.reload()

    def seal(self, secret: bytes) -> str:
        return self._fernet.encrypt(secret).decode()

    def open(self, sealed: str) -> bytes:
        """Raises ValueError when no key of the set made this; looks at the disk again before, for another
        process may have rotated the set."""
        try:
            return self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            if sealed.startswith(MARK) and self.changed():
                return self.open(sealed)
            raise ValueError("sealed with an unknown key") from None

    def changed(self) -> bool:
        """Whether the set on disk is another than when it was last read; it is read anew then."""
        if self._directory.stat().st_mtime_ns == self._stamp:
            return False
        self.reload()
        return True

    def derive(self, label: str, length: int) -> bytes:
        """Bytes that are always the same for a label, through every rotation, and can't be guessed."""
        return hashlib.shake_256(self._root + label.encode()).digest(length)

    def rotate(self, keep: int = 3) -> None:
        """Add a key and forget the oldest beyond `keep`; what they sealed can't be opened any more."""
        self._write(str(max(self._files()) + 1), Fernet.generate_key())
        for number in sorted(self._files())[:-keep]:
            (self._directory / str(number)).unlink()
        self.reload()

    def reload(self) -> None:
        self._stamp = self._directory.stat().st_mtime_ns
        self._fernet = MultiFernet([Fernet(key) for key in self.keys])

    @property
    def newest_at_s(self) -> float:
        """When the key that signs was made, in seconds since 1970."""
        return (self._directory / str(max(self._files()))).stat().st_mtime

    @property
    def keys(self) -> list[bytes]:
        """Newest first."""
        found = []
        for number in sorted(self._files(), reverse=True):
            # One may be rotated away by another process after it was listed.
            with contextlib.suppress(FileNotFoundError):
                found.append((self._directory / str(number)).read_bytes())
        return found

    def _files(self) -> list[int]:
        return [int(path.name) for path in self._directory.iterdir() if path.name.isdigit()]

    def _write(self, name: str, key: bytes) -> None:
        temporary = self._directory / f".{name}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._directory / name)
