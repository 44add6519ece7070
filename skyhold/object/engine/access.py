# SPDX-License-Identifier: Apache-2.0
"""Who may: the policy's rule for an account's project, or the access list of a container.

The rules are policy.py, the language of lists logic/acl.py. The one thing to know first: whoever may not is told so
whether the thing is there or not, so a refusal never tells.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.policy.rules import Rule
from skyhold.identity import facade as identity
from skyhold.object.logic import acl

DEFAULT_DOMAIN_ID = "default"
"""Where names are unique for ever, so that a list may hold them in place of ids (as in Swift's Keystone middleware)."""


def demand(ctx: Context, rule: Rule, project_id: str) -> None:
    """Raises Forbidden, or Unauthorized for who has no credentials."""
    if not allowed(ctx, rule, project_id):
        raise denied(ctx, rule)


def allowed(ctx: Context, rule: Rule, project_id: str) -> bool:
    return ctx.creds.internal or ctx.allows(rule, {"project_id": project_id})


def demand_listed(
    tx: Tx, ctx: Context, rule: Rule, project_id: str, text: str, *, referrer: str = "", listing: bool = False
) -> None:
    """The same, where an access list may say yes too."""
    if not allowed(ctx, rule, project_id) and not admitted(tx, ctx, project_id, text, referrer, listing):
        raise denied(ctx, rule)


def admitted(tx: Tx, ctx: Context, project_id: str, text: str, referrer: str, listing: bool) -> bool:
    if not text:
        return False
    caller = caller_of(ctx, project_id, referrer)
    if acl.admits(text, caller, listing=listing):
        return True
    if not acl.speaks_of_names(text, caller) or not names_meant(tx, ctx, project_id):
        return False
    return acl.admits(text, caller_of(ctx, project_id, referrer, names=True), listing=listing)


def caller_of(ctx: Context, project_id: str, referrer: str, *, names: bool = False) -> acl.Caller:
    who = ctx.creds
    return acl.Caller(
        user_id=who.user_id, project_id=who.project_id or "", roles=who.roles, user_name=who.user_name,
        project_name=who.project_name or "", referrer=referrer, names=names, at_home=who.project_id == project_id,
    )


def names_meant(tx: Tx, ctx: Context, project_id: str) -> bool:
    """Only where owner and caller are both of the default domain: elsewhere anybody may have any name."""
    who = ctx.creds
    if {who.user_domain_id, who.project_domain_id} != {DEFAULT_DOMAIN_ID}:
        return False
    owner: Any = identity.projects(tx, ctx, [project_id]).get(project_id)
    return owner is not None and owner.domain_id == DEFAULT_DOMAIN_ID


def denied(ctx: Context, rule: Rule) -> errors.Error:
    if not ctx.creds.user_id:
        return errors.Unauthorized("This needs a token, or an access list that lets everybody in.", reason="no_token")
    return errors.Forbidden(ctx.core.policy.explain(rule.name, ctx.creds), rule=rule.name)
