# SPDX-License-Identifier: Apache-2.0
"""What all writes of this API check: whose it becomes, guarded attributes, the revision asked for.

Reading is answers.py. Targets of rules always come from rows, never from what was sent, except
the project of a thing that is being created.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT, Shape, guarded_fields
from skyhold.network import policy
from skyhold.network.tables import TAGS

IF_MATCH = ("If-Match",)
REVISION = re.compile(r"revision_number=([0-9]{1,18})")
OWNER_LENGTH = 64
"""The longest id of a project that fits beside what it owns."""


def given(value: Any, default: Any) -> Any:
    return default if value is ABSENT else value


def owner(ctx: Context, want: Any) -> str:
    """The project a new resource belongs to. Raises Invalid, as upstream, for one not one's own."""
    asked = given(want.project_id, None) or given(want.tenant_id, None)
    if asked and asked != ctx.project_id and not ctx.creds.internal and "admin" not in ctx.creds.roles:
        raise errors.Invalid(
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request "
            "requires admin privileges"
        )
    if asked and len(asked) > OWNER_LENGTH:
        raise errors.Invalid(
            f"Invalid input for project_id. Reason: it has {len(asked)} characters; at most {OWNER_LENGTH} are kept."
        )
    return asked or ctx.project_id


def guard(ctx: Context, want: Shape, target: Mapping[str, Any], usual: Mapping[str, Any] | None = None) -> None:
    """Raises Forbidden for a guarded attribute that the caller may not give; `usual` values (what it
    would be anyway) are free to all."""
    usual = usual or {}
    for attr, _, rule in guarded_fields(type(want)):
        value = getattr(want, attr)
        if value is not ABSENT and not (attr in usual and usual[attr] == value):
            policy.require(ctx, rule, target)


def check_revision(row: Any, headers: Mapping[str, str | None]) -> None:
    """`If-Match: revision_number=7`; raises PreconditionFailed when the row has moved on."""
    text = headers.get("If-Match")
    if not text:
        return
    named = REVISION.fullmatch(text.strip().strip('"'))
    if named is None:
        raise errors.Invalid(f"Invalid If-Match header: {text[:80]}; it must read revision_number=<number>.")
    number = named[1]
    if int(number) != row.revision:
        raise errors.PreconditionFailed(
            f"Constrained to {number}, but current revision is {row.revision}", revision=row.revision
        )


def wanted_columns(want: Shape, *names: str) -> dict[str, Any]:
    """Those of the attributes that were in the body, by column."""
    found = {name: getattr(want, name) for name in names}
    return {name: value for name, value in found.items() if value is not ABSENT}


def drop_tags(tx: Tx, row: Any) -> None:
    if row.tags:
        tx.execute(TAGS.delete().where(TAGS.c.resource_id == row.id))
