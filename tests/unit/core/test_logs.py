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


@pytest.mark.parametrize("odd", ["half a \udc80 character", 2**70, {1: "a"}, ["\ud800"]])
def test_what_json_can_not_say_costs_whoever_logs_nothing(lines: io.StringIO, odd: Any) -> None:
    structlog.get_logger("toy").info("it happened", request_id="req-1", odd=odd)
    event = last(lines)
    assert (event["event"], event["request_id"], event["odd"]) == ("it happened", "req-1", repr(odd))


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


@pytest.mark.parametrize(("said", "left"), [
    ("https://s3.test/a?X-Amz-Signature=hunter2&x=y answered 403.", "https://s3.test/a?*** answered 403."),
    ("fetch 'https://u:hunter2@s3.test/a?sig=hunter2'", "fetch 'https://***@s3.test/a?***'"),
    ("postgresql+asyncpg://skyhold:hunter2@db.test/cloud is away", "postgresql+asyncpg://***@db.test/cloud is away"),
    ("ldap://hunter2@ldap.test", "ldap://***@ldap.test"),
    ("https://cloud.test/a/b#c, write to ana@cloud.test?", "https://cloud.test/a/b#c, write to ana@cloud.test?"),
])
def test_what_may_be_secret_in_a_url_is_cut(lines: io.StringIO, said: str, left: str) -> None:
    structlog.get_logger("toy").info("saga aborts", error=said, deep=[{"uri": said}])
    assert (last(lines)["error"], last(lines)["deep"]) == (left, [{"uri": left}])


def test_tokens_in_a_trace_are_cut(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError:
        structlog.get_logger("toy").exception("failed")
    assert "Traceback" in last(lines)["exception"]
    assert TOKEN[8:40] not in lines.getvalue()


def test_libraries_tell_no_secrets_either(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"bad {TOKEN} at https://u:hunter2@s3.test/?sig=hunter2")
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved: %s", TOKEN)
    assert "ERROR asyncio Task exception" in lines.getvalue() and "Traceback" in lines.getvalue()
    assert TOKEN[8:40] not in lines.getvalue() and "hunter2" not in lines.getvalue()


def test_what_is_logged_is_not_changed(lines: io.StringIO) -> None:
    body = {"auth": {"password": "hunter2"}}
    structlog.get_logger("toy").info("asked", body=body)
    assert body == {"auth": {"password": "hunter2"}}
