# SPDX-License-Identifier: Apache-2.0
"""Telling a person what is going on: one line a step, with the seconds once it takes more than one.

For logs of the program see core/logs.py. Lines look like those of script/lib/common.sh, which
prints the steps before these.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out.isatty()

    def done(self, text: str) -> None:
        print(f"ok  {text}", file=self._out, flush=True)

    def failed(self, text: str) -> None:
        print(f"!!  {text}", file=self._out, flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """`text` while it runs, then ok with the time it took, or !! when it raises."""
        began = time.monotonic()
        stop = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(text, began, stop), daemon=True)
        ticker.start()
        try:
            yield
        except BaseException:
            self._end(stop, ticker)
            self.failed(text)
            raise
        self._end(stop, ticker)
        took = time.monotonic() - began
        self.done(f"{text} ({took:.1f} s)" if took >= 1 else text)

    def _tick(self, text: str, began: float, stop: threading.Event) -> None:
        pause_s = 0.3 if self._live else 1.0
        while not stop.wait(pause_s):
            seconds = int(time.monotonic() - began)
            if self._live:
                print(f"\r..  {text} ({seconds} s)\033[K", end="", file=self._out, flush=True)
            else:
                print(f"..  {text} ({seconds} s)", file=self._out, flush=True)
                pause_s = 15.0

    def _end(self, stop: threading.Event, ticker: threading.Thread) -> None:
        stop.set()
        ticker.join()
        if self._live:
            print("\r\033[K", end="", file=self._out)
