# SPDX-License-Identifier: Apache-2.0
"""The highest fence heard about each guest: what keeps a paused process from undoing newer work.

Who raises fences is core/saga/rows.py. They are kept on disk, because an agent that restarts
must not believe an old wish; a line is appended per change and the file rewritten now and then.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

REWRITE_AFTER = 5_000
LINE = msgspec.json.Decoder(tuple[str, int])


class Fences:
    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._highest: dict[str, int] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                self._load(line)
        self._lines = 0
        self._file = path.open("a", buffering=1)
        self._rewrite()

    def _load(self, line: bytes) -> None:
        try:
            subject, fence = LINE.decode(line)
        except msgspec.MsgspecError:
            # The last line of a file torn by a power cut.
            return
        self._highest[subject] = max(fence, self.highest(subject))

    def admit(self, subject: str, fence: int) -> bool:
        """Whether a wish with this fence may be done; remembers it if so."""
        highest = self.highest(subject)
        if fence < highest:
            return False
        if fence > highest:
            self._highest[subject] = fence
            self._file.write(json.dumps([subject, fence]) + "\n")
            self._lines += 1
            if self._lines > REWRITE_AFTER:
                self._rewrite()
        return True

    def highest(self, subject: str) -> int:
        return self._highest.get(subject, 0)

    def forget(self, subjects: list[str]) -> None:
        """Guests long gone need no fence."""
        for subject in subjects:
            self._highest.pop(subject, None)
        self._rewrite()

    @property
    def subjects(self) -> list[str]:
        return list(self._highest)

    def close(self) -> None:
        self._file.close()

    def _rewrite(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text("".join(json.dumps([s, f]) + "\n" for s, f in self._highest.items()))
        temporary.replace(self._path)
        self._file.close()
        self._file = self._path.open("a", buffering=1)
        self._lines = 0
