# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one JSON (or text) line an event, with request ids, and without secrets.

Whoever logs uses `structlog.get_logger`; this module only configures it. Values under names that
sound secret are replaced, and tokens inside text are cut.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog

SECRET_NAMES = re.compile(r"password|secret|token|private_key|user_data|credential", re.I)
TOKENS = re.compile(r"gAAAA[A-Za-z0-9_=-]{20,}")


def configure(level: str = "INFO", style: str = "json", stream: TextIO | None = None) -> None:
    out = stream or sys.stderr
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
    logging.basicConfig(level=logging.WARNING, stream=out, force=True, format="%(levelname)s %(name)s %(message)s")


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if SECRET_NAMES.search(name):
            event[name] = "***"
        elif isinstance(value, str) and "gAAAA" in value:
            event[name] = TOKENS.sub("***", value)
    return event


def json_line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str).decode()
