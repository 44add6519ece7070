# SPDX-License-Identifier: Apache-2.0
"""The rows of delegations: their stores, and how one that ends takes along what was made with it.

What each kind means is in its resource. `made_with` names the delegation whose token made a row
(auth/grounds.py says how); a tail without its head is void anyway, here it is also cleared away.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import journal
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store
from skyhold.identity.auth import events
from skyhold.identity.auth.grounds import link
from skyhold.identity.auth.sessions import void
from skyhold.identity.delegation.tables import ACCESS_TOKENS, CONSUMERS, CREDENTIALS, REQUEST_TOKENS, TRUSTS
from skyhold.identity.tables import APP_CREDENTIALS

app_credentials = Store(
    APP_CREDENTIALS, service="identity", kind="application_credential", label="Application credential",
    targets={"target.user.id": "user_id"}, secrets=["secret_hash"],
)
credentials = Store(
    CREDENTIALS, service="identity", kind="credential", label="Credential", secrets=["blob", "access_hash"],
    targets={"target.credential.user_id": "user_id"},
)
trusts = Store(
    TRUSTS, service="identity", kind="trust", label="Trust", targets={
        "target.trust.trustor_user_id": "trustor_user_id", "target.trust.trustee_user_id": "trustee_user_id",
    },
)
consumers = Store(CONSUMERS, service="identity", kind="consumer", label="Consumer", secrets=["secret"])
request_tokens = Store(
    REQUEST_TOKENS, service="identity", kind="request_token", label="Request token",
    secrets=["secret", "verifier_hash"],
)
access_tokens = Store(
    ACCESS_TOKENS, service="identity", kind="access_token", label="Access token", secrets=["secret"],
    targets={"target.user.id": "user_id"},
)

KINDS = {
    "app_cred_id": app_credentials, "ec2_key_id": credentials, "trust_id": trusts, "access_token_id": access_tokens,
}
"""By the attribute that a token on it has (auth/grounds.py)."""
PASSED_ON = ("app_cred_id", "ec2_key_id", "trust_id")
"""Those that may themselves be made with a delegation."""


def discard(tx: Tx, store: Store, row: Any) -> None:
    """Delete a delegation and all that was made with it; their tokens are void from the commit on."""
    store.delete(tx, row)
    void(tx)
    journal.record(tx, f"{store.kind}.delete", row)
    if store is consumers:
        events.tell(tx, ground="consumer_id", ground_id=row.id)
    name = next((name for name, known in KINDS.items() if known is store), None)
    if name is not None:
        tell(tx, name, row)
        discard_tail(tx, [link(name, row.id)])


def discard_of_project(tx: Tx, project_id: str) -> None:
    """All that is for a project which goes."""
    heads: list[str] = []
    for name, store in KINDS.items():
        mine = sa.select(*store.table.c).where(store.table.c.project_id == project_id)
        heads += discard_rows(tx, name, [store.Row._make(row) for row in tx.all(mine)])
    discard_tail(tx, heads)


def discard_tail(tx: Tx, heads: list[str]) -> None:
    """In whichever order rows refer to one another, each round is one generation."""
    while heads:
        following: list[str] = []
        for name in PASSED_ON:
            following += discard_made_with(tx, name, heads)
        heads = following


def discard_made_with(tx: Tx, name: str, heads: list[str]) -> list[str]:
    store = KINDS[name]
    table = store.table
    found = [store.Row._make(row) for row in tx.all(sa.select(*table.c).where(table.c.made_with.in_(heads)))]
    return discard_rows(tx, name, found)


def discard_rows(tx: Tx, name: str, found: list[Any]) -> list[str]:
    """What others made with these is named by; that another was first with one of them is all the same."""
    store = KINDS[name]
    if found:
        tx.execute(store.table.delete().where(store.table.c.id.in_([row.id for row in found])))
    for row in found:
        journal.record(tx, f"{store.kind}.delete", row)
        tell(tx, name, row)
    return [link(name, row.id) for row in found]


def tell(tx: Tx, name: str, row: Any) -> None:
    """For services that validate by themselves. Of credentials only EC2 keys give tokens."""
    whose = {"user_id": row.user_id, "project_id": row.project_id} if name in ("app_cred_id", "ec2_key_id") else {}
    if name != "ec2_key_id" or row.type == "ec2":
        events.tell(tx, ground=name, ground_id=row.id, **whose)
