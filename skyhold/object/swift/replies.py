# SPDX-License-Identifier: Apache-2.0
"""What answers say in their headers: counters, metadata, moments.

What requests say is heads.py, bodies are listings.py and downloads.py. Everything that a user wrote is given back
sandboxed: the store may share its address with other parts of the cloud, and a browser must not run a tenant's page
in their name.
"""

from __future__ import annotations

import email.utils
from typing import Any, Final

from skyhold.core.context import Context
from skyhold.core.http.routes import Reply
from skyhold.object.engine import containers
from skyhold.object.engine.accounts import Account
from skyhold.object.errors import HTML
from skyhold.object.logic.conditions import seconds
from skyhold.object.swift.heads import POLICY, latin, prefixed

SECOND_US: Final = 1_000_000
SANDBOX: Final = {"Content-Security-Policy": "sandbox"}


def done(status: int, headers: dict[str, str] | None = None) -> Reply:
    """An answer without a body."""
    return Reply(status=status, headers=headers or {}, content_type=HTML)


def stamp(moment_us: int) -> str:
    """X-Timestamp: seconds with five decimals."""
    return f"{moment_us // SECOND_US}.{moment_us % SECOND_US // 10:05d}"


def http_date(moment_us: int) -> str:
    return email.utils.formatdate(seconds(moment_us), usegmt=True)


def of_account(found: Account) -> dict[str, str]:
    policy = f"X-Account-Storage-Policy-{POLICY}"
    counts = {
        "Container-Count": found.containers, "Object-Count": found.objects, "Bytes-Used": found.bytes_used,
    }
    stamps = {"X-Timestamp": stamp(found.created_at), "Accept-Ranges": "bytes"}
    of_policy = {f"{policy}-{name}": str(value) for name, value in counts.items()} if found.containers else {}
    quotas = {} if found.quota_count is None else {"X-Account-Quota-Count": str(found.quota_count)}
    if found.quota_bytes is not None:
        quotas |= dict.fromkeys(("X-Account-Meta-Quota-Bytes", "X-Account-Quota-Bytes"), str(found.quota_bytes))
    return stamps | {f"X-Account-{n}": str(v) for n, v in counts.items()} | of_policy | quotas | prefixed(
        "Account", found.metadata
    )


def of_container(ctx: Context, row: Any) -> dict[str, str]:
    """Who else may read or write is told to who could say so."""
    lists = {"X-Container-Read": row.read_acl, "X-Container-Write": row.write_acl}
    shown = {name: latin(value) for name, value in lists.items() if value and containers.owned(ctx, row)}
    quotas = {"Bytes": row.quota_bytes, "Count": row.quota_count}
    return {
        "X-Container-Object-Count": str(row.objects), "X-Container-Bytes-Used": str(row.bytes_used),
        "X-Timestamp": stamp(row.created_at), "Last-Modified": http_date(row.updated_at),
        "X-Storage-Policy": POLICY, "Accept-Ranges": "bytes",
    } | shown | {f"X-Container-Meta-Quota-{n}": str(v) for n, v in quotas.items() if v is not None} | prefixed(
        "Container", row.metadata
    )


def of_object(row: Any) -> dict[str, str]:
    """The ETag stands without quotes, as Swift's clients compare it."""
    return SANDBOX | {name.title(): latin(value) for name, value in row.headers.items()} | {
        "Etag": row.etag, "Last-Modified": http_date(row.updated_at), "X-Timestamp": stamp(row.updated_at),
        "Accept-Ranges": "bytes",
    } | prefixed("Object", row.metadata)


def of_written(row: Any) -> dict[str, str]:
    return {"Etag": row.etag, "Last-Modified": http_date(row.updated_at)}
