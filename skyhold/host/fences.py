# SPDX-License-Identifier: Apache-2.0
"""The highest fence heard about each guest: what keeps a paused process from undoing newer work.

Who raises fences is core/saga/rows.py. They are kept on disk, because an agent that restarts
must not believe an old wish; a line is appended per change and the file rewritten now and then.

Only the newest are kept one by one. Of the others the highest counts for all: whoever isn't known may have been
forgotten, and a wish below it is refused. Fences come from a clock, so new wishes are above it; one of a saga or a loop
that has waited very long goes beyond what it is told was heard, and comes again.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

REWRITE_AFTER = 5_000
MOST_SUBJECTS = 10_000
FORGOTTEN = ""
"""The subject that stands for all that are forgotten; no wish with a fence has it."""
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
        self._highest[subject] = max(fence, self._highest.get(subject, 0))

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
        """Of one that isn't known: of all that were forgotten."""
        return self._highest.get(subject, self._highest.get(FORGOTTEN, 0))

    def close(self) -> None:
        self._file.close()

    def _forget_oldest(self) -> None:
        by_age = sorted(self._highest.items(), key=lambda each: each[1], reverse=True)
        if len(by_age) > MOST_SUBJECTS:
            heard = max(self._highest.get(FORGOTTEN, 0), by_age[MOST_SUBJECTS][1])
            self._highest = dict(by_age[:MOST_SUBJECTS]) | {FORGOTTEN: heard}

    def _rewrite(self) -> None:
        self._forget_oldest()
        temporary = self._path.with_suffix(".new")
        temporary.write_text("".join(json.dumps([s, f]) + "\n" for s, f in self._highest.items()))
        temporary.replace(self._path)
        self._file.close()
        self._file = self._path.open("a", buffering=1)
        self._lines = 0
