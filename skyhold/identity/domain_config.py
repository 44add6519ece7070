# SPDX-License-Identifier: Apache-2.0
"""What a domain configures for itself: above all, which directory its users come from.

Which options there are is logic/domain_options.py, what they do directories/. Secret options can be
written and never read: they are sealed at rest and left out of every answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import JsonObject, envelope
from skyhold.core.store import Store
from skyhold.identity import permits, places, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.delegation.sealing import seal, unseal
from skyhold.identity.logic import domain_options
from skyhold.identity.logic.domain_options import OPTIONS, Config
from skyhold.identity.tables import DOMAIN_CONFIGS

LONGEST = 4096
COMPLIANCE = "security_compliance"
TOLD = ("password_regex", "password_regex_description")

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
DEFAULTS = "/v3/domains/config"
ALL = "/v3/domains/{domain_id}/config"
GROUP = ALL + "/{group}"
OPTION = GROUP + "/{option}"
BODY = envelope("config", JsonObject)


@routes.get(f"{DEFAULTS}/default", policy=policy.GET_DOMAIN_CONFIG_DEFAULT)
async def show_defaults(ctx: Context) -> dict[str, Any]:
    """Show what holds for domains that configure nothing."""
    return {"config": domain_options.defaults()}


@routes.get(f"{DEFAULTS}/{{group}}/default", policy=policy.GET_DOMAIN_CONFIG_DEFAULT)
async def show_group_defaults(ctx: Context, group: str) -> dict[str, Any]:
    """Show the defaults of a group."""
    check_name(group)
    return {"config": {group: domain_options.defaults()[group]}}


@routes.get(f"{DEFAULTS}/{{group}}/{{option}}/default", policy=policy.GET_DOMAIN_CONFIG_DEFAULT)
async def show_option_default(ctx: Context, group: str, option: str) -> dict[str, Any]:
    """Show the default of an option."""
    check_readable(group, option)
    return {"config": {option: OPTIONS[group][option].default}}


@routes.put(ALL, policy=policy.CREATE_DOMAIN_CONFIG, body=BODY)
async def create(ctx: Context, domain_id: str, want: JsonObject) -> Reply:
    """Configure a domain, instead of whatever it had configured."""
    made, config = await ctx.write(put, domain_id, want)
    return Reply({"config": config}, status=201 if made else 200)


@routes.get(ALL, policy=policy.GET_DOMAIN_CONFIG)
async def show(ctx: Context, domain_id: str) -> dict[str, Any]:
    """Show what a domain has configured."""
    return {"config": await ctx.read(get, domain_id, None, None)}


@routes.patch(ALL, policy=policy.UPDATE_DOMAIN_CONFIG, body=BODY)
async def update(ctx: Context, domain_id: str, want: JsonObject) -> dict[str, Any]:
    """Change some of what a domain has configured."""
    return {"config": await ctx.write(change, domain_id, want, None, None)}


@routes.delete(ALL, policy=policy.DELETE_DOMAIN_CONFIG)
async def delete(ctx: Context, domain_id: str) -> None:
    """Configure nothing any more."""
    await ctx.write(remove, domain_id, None, None)


@routes.get(GROUP, policy=policy.GET_SECURITY_COMPLIANCE_DOMAIN_CONFIG)
async def show_group(ctx: Context, domain_id: str, group: str) -> dict[str, Any]:
    """Show one group of what a domain has configured, or what a password must be like."""
    if group == COMPLIANCE:
        return {"config": {group: compliance(ctx, domain_id)}}
    return {"config": await ctx.read(get, domain_id, group, None)}


@routes.patch(GROUP, policy=policy.UPDATE_DOMAIN_CONFIG, body=BODY)
async def update_group(ctx: Context, domain_id: str, group: str, want: JsonObject) -> dict[str, Any]:
    """Change one group; the whole configuration is answered."""
    return {"config": await ctx.write(change, domain_id, want, group, None)}


@routes.delete(GROUP, policy=policy.DELETE_DOMAIN_CONFIG)
async def delete_group(ctx: Context, domain_id: str, group: str) -> None:
    """Configure nothing of a group any more."""
    await ctx.write(remove, domain_id, group, None)


@routes.get(OPTION, policy=policy.GET_SECURITY_COMPLIANCE_DOMAIN_CONFIG)
async def show_option(ctx: Context, domain_id: str, group: str, option: str) -> dict[str, Any]:
    """Show one option of what a domain has configured, or one thing about passwords."""
    if group == COMPLIANCE:
        return {"config": {option: compliance(ctx, domain_id, option)[option]}}
    return {"config": await ctx.read(get, domain_id, group, option)}


@routes.patch(OPTION, policy=policy.UPDATE_DOMAIN_CONFIG, body=BODY)
async def update_option(
    ctx: Context, domain_id: str, group: str, option: str, want: JsonObject
) -> dict[str, Any]:
    """Change one option; the whole configuration is answered."""
    return {"config": await ctx.write(change, domain_id, want, group, option)}


@routes.delete(OPTION, policy=policy.DELETE_DOMAIN_CONFIG)
async def delete_option(ctx: Context, domain_id: str, group: str, option: str) -> None:
    """Configure one option no more."""
    await ctx.write(remove, domain_id, group, option)


# ---- operations ----------------------------------------------------------------------------


def put(tx: Tx, ctx: Context, domain_id: str, want: JsonObject) -> tuple[bool, Config]:
    """Whether there was none before, and what may be read of it. Raises NotFound for the domain,
    Forbidden for what can't be configured, Invalid for a value of the wrong kind."""
    places.domain(tx, domain_id)
    config = checked(want)
    before = find(tx, domain_id)
    row = keep(tx, ctx, domain_id, before, config)
    journal.record(tx, "domain_config.create", row)
    return before is None, row.options


def change(
    tx: Tx, ctx: Context, domain_id: str, want: JsonObject, group: str | None, option: str | None
) -> Config:
    """Raises NotFound for a group or an option that isn't configured yet: only what is there changes."""
    places.domain(tx, domain_id)
    asked = addressed(want, group, option)
    before = find(tx, domain_id)
    if before is None:
        raise missing(domain_id, None, None)
    now = whole(ctx, before)
    if group is not None and (group not in now or (option is not None and option not in now[group])):
        raise missing(domain_id, group, option)
    row = keep(tx, ctx, domain_id, before, domain_options.merged(now, asked))
    journal.record(tx, "domain_config.update", row)
    return dict(row.options)


def remove(tx: Tx, ctx: Context, domain_id: str, group: str | None, option: str | None) -> None:
    places.domain(tx, domain_id)
    if group is not None:
        check_name(group, option)
    before = find(tx, domain_id)
    now = {} if before is None else whole(ctx, before)
    if before is None or (group is not None and (group not in now or option not in (None, *now[group]))):
        raise missing(domain_id, group, option)
    left = {} if group is None else domain_options.without(now, group, option)
    row = keep(tx, ctx, domain_id, before, left) if left else before
    if not left:
        store.delete(tx, before)
        void(tx)
    journal.record(tx, "domain_config.delete", row)


def keep(tx: Tx, ctx: Context, domain_id: str, before: Any, config: Config) -> Any:
    """The domain's row is locked by now, so nobody else makes one meanwhile."""
    plain, hidden = domain_options.split(config)
    values = {"options": plain, "secrets": seal(ctx, json.dumps(hidden))}
    void(tx)
    return store.insert(tx, id=domain_id, **values) if before is None else store.update(tx, before, **values)


def addressed(want: JsonObject, group: str | None, option: str | None) -> Config:
    """The body as {group: {option: value}}; it must be about what the address names, and nothing else."""
    if group is None:
        return checked(want)
    check_name(group, option)
    asked = want if option is None else {group: want}
    if list(asked) != [group] or (option is not None and list(want) != [option]):
        raise refused(f"the body must be about {option or group}, as the address is.")
    return checked(asked)


def checked(want: Mapping[str, Any]) -> Config:
    if not want:
        raise refused("no options were given.")
    for group, options in want.items():
        check_name(group)
        if not isinstance(options, dict) or not options:
            raise refused(f"group {group} must be an object of options.")
        for name, value in options.items():
            check_name(group, name)
            check_value(group, name, value)
    return {group: dict(options) for group, options in want.items()}


def check_name(group: str, option: str | None = None) -> None:
    if not domain_options.supported(group, option):
        what = f"Group {group[:100]}" if option is None else f"Option {option[:100]} in group {group[:100]}"
        raise refused(f"{what} is not supported for domain specific configurations.")


def check_readable(group: str, option: str | None) -> None:
    check_name(group, option)
    if option is not None and domain_options.is_secret(group, option):
        raise refused(f"Option {option} in group {group} can be set, but not read.")


def check_value(group: str, option: str, value: Any) -> None:
    try:
        domain_options.understood(OPTIONS[group][option], value)
        if len(json.dumps(value)) > LONGEST:
            raise ValueError("is too long")
    except ValueError as error:
        raise errors.Invalid(f"Invalid input for field 'config/{group}/{option}': it {error}.") from None


def refused(why: str) -> errors.Forbidden:
    return errors.Forbidden(f"Invalid domain specific configuration: {why}", reason="domain_config")


def missing(domain_id: str, group: str | None, option: str | None) -> errors.NotFound:
    what = "any options" if group is None else f"group {group}" if option is None else f"option {option} of {group}"
    return errors.NotFound(
        f"Could not find {what} in domain configuration for domain {domain_id}.", kind="domain_config"
    )


# ---- queries -------------------------------------------------------------------------------

store = Store(
    DOMAIN_CONFIGS, service="identity", kind="domain_config", label="Domain configuration", secrets=["secrets"]
)


def find(tx: Tx, domain_id: str) -> Any:
    return store.find(tx, domain_id, lock=True)


def whole(ctx: Context, row: Any) -> Config:
    """With the secret options: for the program itself."""
    return domain_options.merged(row.options, json.loads(unseal(ctx, row.secrets)))


def get(tx: Tx, ctx: Context, domain_id: str, group: str | None, option: str | None) -> JsonObject:
    """What a caller may read of it; in a group, `{group: …}`, of an option, `{option: value}`."""
    permits.demand(ctx, policy.GET_DOMAIN_CONFIG)
    if group is not None:
        check_readable(group, option)
    if places.domains.find(tx, domain_id) is None:
        raise places.domains.not_found(domain_id)
    row = store.find(tx, domain_id)
    config: Config = {} if row is None else row.options
    if row is None or (group is not None and (group not in config or option not in (None, *config[group]))):
        raise missing(domain_id, group, option)
    if group is None:
        return dict(config)
    return {group: config[group]} if option is None else {option: config[group][option]}


def with_driver(tx: Tx, ctx: Context, driver: str) -> dict[str, Config]:
    """The whole configuration of each domain that has this driver, by the domain's id."""
    rows = tx.all(sa.select(*DOMAIN_CONFIGS.c))
    return {
        row.id: whole(ctx, row) for row in rows if row.options.get("identity", {}).get("driver") == driver
    }


def compliance(ctx: Context, domain_id: str, option: str | None = None) -> dict[str, Any]:
    """What users must know of the rules for passwords: anybody may ask, of the default domain."""
    if domain_id != places.DEFAULT_DOMAIN_ID:
        raise refused(
            "reading security compliance information for any domain other than the default domain is not allowed."
        )
    if option not in (None, *TOLD):
        raise refused(f"Option {option} in group {COMPLIANCE} can't be read.")
    rules = ctx.core.settings.security_compliance
    return {name: getattr(rules, name) or None for name in TOLD}
