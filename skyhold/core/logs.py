# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one JSON (or text) line an event, with request ids, and without secrets.

Whoever logs uses `structlog.get_logger`; this module only configures it. Values under names that
sound secret are replaced; tokens inside text are cut, and what may be secret in a URL.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import orjson
import structlog

SECRET_NAMES = re.compile(r"password|passwd|adminpass|admin_pass|secret|token|private_key|user_data|credential", re.I)
TOKENS = re.compile(r"gAAAA[A-Za-z0-9_=-]{20,}")
USER_OF_URL = re.compile(r"://[^\s/?#@'\"<>]*@")
QUERY_OF_URL = re.compile(r"(://[^\s?'\"<>]*\?)[^\s'\"<>]+")
"""URLs that are signed carry their secret there."""


def configure(level: str = "INFO", style: str = "json", stream: TextIO | None = None) -> None:
    out: Any = Undaunted(stream or sys.stderr)
    last: Any = json_line if style == "json" else structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    others = logging.StreamHandler(out)
    others.setFormatter(Redacted("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[others], force=True)


class Redacted(logging.Formatter):
    """What libraries log by themselves, tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        text: str = without_secrets(super().format(record))
        return text


class Undaunted:
    """A stream whose full disk, or reader that went away, costs a line of the log and not the work that it is about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if SECRET_NAMES.search(name):
            event[name] = "***"
        elif not isinstance(value, int | float | None):
            event[name] = without_secrets(value)
    return event


def without_secrets(value: Any) -> Any:
    """A copy in which nothing secret is left, however deep it was."""
    if isinstance(value, str):
        cut = TOKENS.sub("***", value) if "gAAAA" in value else value
        return without_secrets_of_urls(cut) if "://" in cut else cut
    if isinstance(value, Mapping):
        return {
            name: "***" if SECRET_NAMES.search(str(name)) else without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return value


def without_secrets_of_urls(text: str) -> str:
    """`postgresql://***@host/db`, `https://host/path?***`."""
    return QUERY_OF_URL.sub(r"\1***", USER_OF_URL.sub("://***@", text))


def json_line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:
        return orjson.dumps({name: in_words(value) for name, value in event.items()}, default=str).decode()


def in_words(value: Any) -> Any:
    """What JSON can't say, half a character or a number beyond 64 bits, as Python would: whoever logs must not fail."""
    try:
        orjson.dumps(value, default=str)
    except TypeError:
        return repr(value)
    return value
