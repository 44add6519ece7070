# SPDX-License-Identifier: Apache-2.0
"""Logs: a JSON line an event, with the request's id and without secrets, at any depth."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from skyhold.core import logs

TOKEN = "gAAAAABm" + "aB3_-" * 30


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    before, handlers = structlog.get_config(), logging.root.handlers[:]
    out = io.StringIO()
    logs.configure("INFO", "json", out)
    yield out
    structlog.configure(**before)
    logging.root.handlers[:] = handlers


def last(out: io.StringIO) -> dict[str, Any]:
    event: dict[str, Any] = orjson.loads(out.getvalue().splitlines()[-1])
    return event


def test_an_event_is_one_line_with_time_and_level(lines: io.StringIO) -> None:
    structlog.get_logger("toy").info("it\nhappened", n=1, odd=object())
    assert len(lines.getvalue().splitlines()) == 1
    event = last(lines)
    assert (event["event"], event["level"], event["n"]) == ("it\nhappened", "info", 1)
    assert event["timestamp"].endswith("Z")


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    structlog.get_logger("toy").debug("quiet")
    assert lines.getvalue() == ""


def test_the_requests_id_is_on_every_line(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="req-1"):
        structlog.get_logger("toy").info("a")
    assert last(lines)["request_id"] == "req-1"


@pytest.mark.parametrize("name", ["password", "adminPass", "user_data", "X-Auth-Token", "secret", "private_key"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: {name: "hunter2"},
        lambda name: {"body": {name: "hunter2"}},
        lambda name: {"body": [{"auth": {name: ["hunter2"]}}]},
        lambda name: {"body": ({name: {"x": "hunter2"}},)},
    ],
)
def test_secrets_are_not_written(lines: io.StringIO, name: str, wrap: Any) -> None:
    structlog.get_logger("toy").info("asked", **wrap(name))
    assert "hunter2" not in lines.getvalue()
    assert "***" in lines.getvalue()


def test_tokens_inside_text_are_cut(lines: io.StringIO) -> None:
    structlog.get_logger("toy").info(f"with {TOKEN}", url=f"/x?t={TOKEN}", deep={"list": [f"a {TOKEN} b"]})
    assert TOKEN[8:40] not in lines.getvalue()


def test_tokens_in_a_trace_are_cut(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        structlog.get_logger("toy").exception("failed")
    assert "Traceback" in last(lines)["exception"]
    assert TOKEN[8:40] not in lines.getvalue()


def test_what_is_logged_is_not_changed(lines: io.StringIO) -> None:
    body = {"auth": {"password": "hunter2"}}
    structlog.get_logger("toy").info("asked", body=body)
    assert body == {"auth": {"password": "hunter2"}}
