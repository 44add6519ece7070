# SPDX-License-Identifier: Apache-2.0
"""Reads what a request says in its headers: metadata, access lists, quotas, conditions, what to copy.

What is answered is replies.py. The one thing to know first: what this store doesn't do yet is refused wherever it is
asked for, because a client that is told yes counts on it.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

from skyhold.core import errors
from skyhold.core.http.routes import Head
from skyhold.object.engine import accounts, containers
from skyhold.object.engine.objects import Address, Described
from skyhold.object.logic import acl
from skyhold.object.logic.bounds import check_container_name, check_object_name
from skyhold.object.logic.conditions import Conditions

UNDONE: Final = {
    "x-object-manifest": "dynamic large objects", "x-delete-at": "expiring objects",
    "x-delete-after": "expiring objects", "x-symlink-target": "symbolic links",
    "x-versions-location": "versions of objects", "x-history-location": "versions of objects",
    "x-versions-enabled": "versions of objects", "x-container-sync": "synchronised containers",
    "x-account-access-control": "access lists of accounts", "x-container-meta-temp-url-key": "temporary URLs",
    "x-account-meta-temp-url-key": "temporary URLs", "x-container-meta-web-": "static websites",
    "x-container-meta-access-control-": "cross-origin requests", "x-account-quota-bytes-policy": "storage policies",
    "x-account-quota-count-policy": "storage policies",
}
"""By how headers begin."""
UNDONE_QUERIES: Final = {
    "temp_url_sig": "temporary URLs", "temp_url_expires": "temporary URLs", "extract-archive": "bulk uploads",
    "bulk-delete": "bulk deletions", "version-id": "versions of objects", "versions": "versions of objects",
}
WRITES: Final = ("PUT", "POST", "DELETE", "COPY")
KEPT_HEADERS: Final = (
    "content-disposition", "content-encoding", "content-language", "cache-control", "expires", "x-robots-tag",
)
POLICY: Final = "Policy-0"
"""The one storage policy, under upstream's name for the first."""
UNKNOWN_TYPE: Final = "application/octet-stream"
YES: Final = ("true", "1", "yes", "on", "t", "y")
REMOVED: Final = "x-remove-"
ACCOUNT: Final = "AUTH_"
LONGEST_NUMBER: Final = 18
LONGEST_ACCOUNT: Final = len(ACCOUNT) + 64


# ---- every request ---------------------------------------------------------------------------


def check(head: Head) -> None:
    """Raises PreconditionFailed for an address that is no text, Invalid for what isn't done here."""
    try:
        path = unquote_to_bytes(head.path).decode()
    except UnicodeDecodeError:
        raise errors.PreconditionFailed("The address is no UTF-8.", reason="bad_address") from None
    if len(next((part for part in path.split("/") if part.startswith(ACCOUNT)), "")) > LONGEST_ACCOUNT:
        raise bad_account()
    for what in wished(head):
        raise errors.Invalid(f"This object store doesn't do {what}.", reason="not_done_here")


def wished(head: Head) -> Iterator[str]:
    """What is asked for and not done."""
    yield from (UNDONE_QUERIES[name] for name, _ in head.queries if name in UNDONE_QUERIES)
    if head.method in WRITES:
        yield from ("static large objects" for name, _ in head.queries if name == "multipart-manifest")
        beginnings = tuple(UNDONE)
        for name, value in head.headers.items():
            if value and name.startswith(beginnings):
                yield next(UNDONE[each] for each in beginnings if name.startswith(each))


def text(value: str) -> str:
    """A header's value, which is UTF-8 and was read as Latin-1. Raises Invalid."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        raise errors.Invalid("Metadata must be valid UTF-8", reason="bad_metadata") from None


def given(head: Head, name: str) -> str | None:
    value = head.headers.get(name)
    return None if value is None else text(value)


def is_yes(head: Head, name: str) -> bool:
    return (head.headers.get(name) or "").strip().lower() in YES


def referrer(head: Head) -> str:
    return head.headers.get("referer") or ""


def metadata(head: Head, kind: str) -> dict[str, str]:
    """`X-<kind>-Meta-*` by lower-case name; with an empty value what is to be removed."""
    prefix, removed = f"x-{kind}-meta-", f"{REMOVED}{kind}-meta-"
    found = {name.removeprefix(removed): "" for name in head.headers if name.startswith(removed)}
    return found | {
        name.removeprefix(prefix): text(value) for name, value in head.headers.items() if name.startswith(prefix)
    }


def conditions(head: Head) -> Conditions:
    said = head.headers.get
    return Conditions(
        match=said("if-match"), none_match=said("if-none-match"), modified_since=said("if-modified-since"),
        unmodified_since=said("if-unmodified-since"),
    )


# ---- accounts and containers -----------------------------------------------------------------


def account_change(head: Head) -> accounts.Change:
    items = metadata(head, "account")
    quotas = quotas_of(items)
    for name, column in (("bytes", "quota_bytes"), ("count", "quota_count")):
        if f"x-account-quota-{name}" in head.headers:
            quotas[column] = bound(head.headers[f"x-account-quota-{name}"])
        if f"{REMOVED}account-quota-{name}" in head.headers:
            quotas[column] = None
    return accounts.Change(metadata=items, quotas=quotas)


def container_change(head: Head) -> containers.Change:
    policy = head.headers.get("x-storage-policy")
    if policy and policy.lower() != POLICY.lower():
        raise errors.Invalid(f"Invalid X-Storage-Policy {text(policy)[:80]!r}: there is {POLICY}.")
    items = metadata(head, "container")
    columns: dict[str, Any] = quotas_of(items)
    for name, column in (("read", "read_acl"), ("write", "write_acl")):
        if f"{REMOVED}container-{name}" in head.headers:
            columns[column] = ""
        if (value := given(head, f"x-container-{name}")) is not None:
            columns[column] = acl.normal(value, write=name == "write")
    return containers.Change(metadata=items, columns=columns)


def quotas_of(items: dict[str, str]) -> dict[str, int | None]:
    """Quotas are written as metadata; they are taken out of it here."""
    columns = {"quota-bytes": "quota_bytes", "quota-count": "quota_count"}
    return {column: bound(items.pop(name)) for name, column in columns.items() if name in items}


def bound(value: str) -> int | None:
    """Empty for none. Raises Invalid."""
    if not value:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > LONGEST_NUMBER:
        raise errors.Invalid("Invalid quota: it is a number, or empty for none.", reason="bad_quota")
    return int(value)


# ---- objects ---------------------------------------------------------------------------------


def described(head: Head, name: str, *, guess: bool) -> Described:
    """What is said of an object; with `guess` it always has a type."""
    kind = text(head.headers.get("content-type") or "")
    if guess and (not kind or is_yes(head, "x-detect-content-type")):
        kind = mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
    items = {
        name: value for name, value in metadata(head, "object").items() if f"{REMOVED}object-meta-{name}" not in
        head.headers
    }
    headers = {name: text(head.headers[name]) for name in KEPT_HEADERS if head.headers.get(name)}
    return Described(content_type=kind, metadata=items, headers=headers)


def etag(head: Head) -> str | None:
    """What the client says the content's MD5 is."""
    said = head.headers.get("etag")
    return said.strip().strip('"').lower() if said else None


def address(project_id: str, container: str, name: str) -> Address:
    """Raises Invalid for names that are too long."""
    check_container_name(container)
    check_object_name(name)
    return Address(project_id, container, name)


def source(head: Head, project_id: str) -> Address | None:
    """What PUT is asked to copy, if anything."""
    return elsewhere(head, "x-copy-from", project_id)


def destination(head: Head, project_id: str) -> Address:
    """Where COPY is asked to copy to."""
    found = elsewhere(head, "destination", project_id)
    if found is None:
        raise misplaced("destination")
    return found


def elsewhere(head: Head, header: str, project_id: str) -> Address | None:
    """`container/object`, percent-encoded, in the account that `<header>-account` names or the request's own."""
    value = head.headers.get(header)
    if value is None:
        return None
    if head.headers.get("range"):
        raise errors.Invalid("This object store copies whole objects: leave Range out.", reason="not_done_here")
    container, slash, name = plain(value).removeprefix("/").partition("/")
    if not (container and slash and name):
        raise misplaced(header)
    account = head.headers.get(f"{header}-account")
    return address(project_id if account is None else project_of(account), container, name)


def plain(value: str) -> str:
    try:
        found = unquote(value.encode("latin-1").decode(), errors="strict")
    except UnicodeError:
        raise errors.PreconditionFailed("The address is no UTF-8.", reason="bad_address") from None
    if "\0" in found:
        raise errors.PreconditionFailed("The address holds a NUL character.", reason="bad_address")
    return found


def project_of(account: str) -> str:
    name = plain(account)
    if not name.startswith(ACCOUNT) or "/" in name or len(name) > LONGEST_ACCOUNT:
        raise bad_account()
    return name.removeprefix(ACCOUNT)


def bad_account() -> errors.PreconditionFailed:
    return errors.PreconditionFailed(f"Accounts are called {ACCOUNT} and a project's id.", reason="bad_address")


def misplaced(header: str) -> errors.PreconditionFailed:
    return errors.PreconditionFailed(
        f"{header.title()} header must be of the form <container name>/<object name>", reason="bad_address"
    )


def latin(value: str) -> str:
    """A text as headers carry it."""
    return value.encode().decode("latin-1")


def prefixed(kind: str, items: Mapping[str, str]) -> dict[str, str]:
    """Metadata as headers."""
    return {f"X-{kind}-Meta-{name.title()}": latin(value) for name, value in items.items()}
