# SPDX-License-Identifier: Apache-2.0
"""Traits: what a provider is or can do, as words; standard ones, and custom ones made by the operator.

The standard words come from vocabulary.py and are never stored; which provider has which is written
by records.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Shape, field
from skyhold.placement import policy, records, vocabulary
from skyhold.placement.answers import PREFIX, Pairs, answer, refuse_unknown
from skyhold.placement.tables import CUSTOM_TRAITS, PROVIDER_TRAITS

# ---- shape ---------------------------------------------------------------------------------


class TraitsSet(Shape):
    traits: list[str] = field(min=1, max=255, pattern=vocabulary.WORD_PATTERN, unique_items=True)
    resource_provider_generation: int


class Traits(Shape):
    traits: list[str]


class ProviderTraits(Traits):
    resource_provider_generation: int


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
OF_PROVIDER = "/resource_providers/{uuid}/traits"


@routes.get("/traits", policy=policy.TRAITS_LIST, since="1.6", query=Pairs, reply=Traits)
async def index(ctx: Context, query: Pairs) -> Reply:
    """List traits."""
    return answer(ctx, Traits(traits=await ctx.read(listed, query.extra)))


@routes.get("/traits/{name}", policy=policy.TRAITS_SHOW, since="1.6", status=204)
async def show(ctx: Context, name: str) -> Reply:
    """Show traits."""
    return answer(ctx, modified_us=await ctx.read(made_at, name))


@routes.put("/traits/{name}", policy=policy.TRAITS_UPDATE, since="1.6")
async def create(ctx: Context, name: str) -> Reply:
    """Update traits."""
    new = await ctx.write(ensure, name)
    return answer(ctx, status=201 if new else 204, location=f"{PREFIX}/traits/{name}")


@routes.delete("/traits/{name}", policy=policy.TRAITS_DELETE, since="1.6")
async def delete(ctx: Context, name: str) -> None:
    """Delete traits."""
    await ctx.write(remove, name)


@routes.get(OF_PROVIDER, policy=policy.PROVIDER_TRAITS_LIST, since="1.6", reply=ProviderTraits)
async def of_provider(ctx: Context, uuid: str) -> Reply:
    """List resource provider traits."""
    return answer(ctx, await ctx.read(provider_traits, uuid))


@routes.put(OF_PROVIDER, policy=policy.PROVIDER_TRAITS_UPDATE, since="1.6", body=TraitsSet, reply=ProviderTraits)
async def replace(ctx: Context, uuid: str, want: TraitsSet) -> Reply:
    """Update resource provider traits."""
    return answer(ctx, await ctx.write(set_all, uuid, want))


@routes.delete(OF_PROVIDER, policy=policy.PROVIDER_TRAITS_DELETE, since="1.6")
async def clear(ctx: Context, uuid: str) -> None:
    """Delete resource provider traits."""
    await ctx.write(clear_all, uuid)


# ---- operations ----------------------------------------------------------------------------


def ensure(tx: Tx, ctx: Context, name: str) -> bool:
    """Whether the trait is new; Invalid for a name that custom traits can't have."""
    if not vocabulary.is_custom(name):
        raise errors.Invalid(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the "
            'prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"'
        )
    return bool(vocabulary.learn_traits(tx, [name]))


def remove(tx: Tx, ctx: Context, name: str) -> None:
    if name in vocabulary.standard_traits():
        raise errors.Invalid(f"Cannot delete standard trait {name}.")
    if tx.first(sa.select(CUSTOM_TRAITS.c.name).where(CUSTOM_TRAITS.c.name == name).with_for_update()) is None:
        raise errors.NotFound(f"No such trait(s): {name}.")
    if user := tx.scalar(sa.select(PROVIDER_TRAITS.c.provider_id).where(PROVIDER_TRAITS.c.trait == name).limit(1)):
        raise errors.Conflict(f"The trait {name} is in use by a resource provider: {user}.")
    tx.execute(CUSTOM_TRAITS.delete().where(CUSTOM_TRAITS.c.name == name))
    vocabulary.record(tx, "delete", vocabulary.TRAITS, name)


def set_all(tx: Tx, ctx: Context, provider_id: str, want: TraitsSet) -> ProviderTraits:
    row = records.get_provider(tx, provider_id)
    records.check_generation(row, want.resource_provider_generation)
    if unknown := vocabulary.unknown_traits(tx, want.traits):
        raise errors.Invalid(f"No such trait {', '.join(unknown)}")
    records.replace_traits(tx, provider_id, want.traits)
    return ProviderTraits(traits=sorted(want.traits), resource_provider_generation=records.advance(tx, row))


def clear_all(tx: Tx, ctx: Context, provider_id: str) -> None:
    row = records.get_provider(tx, provider_id)
    records.replace_traits(tx, provider_id, [])
    records.advance(tx, row)


# ---- queries -------------------------------------------------------------------------------


def made_at(tx: Tx, ctx: Context, name: str) -> int:
    if name in vocabulary.standard_traits():
        return ctx.now
    row = tx.first(sa.select(CUSTOM_TRAITS.c.created_at).where(CUSTOM_TRAITS.c.name == name))
    if row is None:
        raise errors.NotFound(f"No such trait(s): {name}.")
    return int(row.created_at)


def provider_traits(tx: Tx, ctx: Context, provider_id: str) -> ProviderTraits:
    row = records.get_provider(tx, provider_id)
    return ProviderTraits(traits=orjson.loads(row.traits), resource_provider_generation=row.generation)


def listed(tx: Tx, ctx: Context, pairs: dict[str, list[str]]) -> list[str]:
    """Names in order; `name=in:A,B`, `name=startswith:HW`, `associated=true|false`."""
    refuse_unknown(pairs, ("name", "associated"))
    names = set(vocabulary.standard_traits())
    names.update(row.name for row in tx.all(sa.select(CUSTOM_TRAITS.c.name)))
    names = by_name(names, pairs)
    wanted = pairs.get("associated")
    if wanted:
        if wanted[0].lower() not in ("true", "false"):
            raise errors.Invalid('The query parameter "associated" only accepts "true" or "false"')
        borne = {row.trait for row in tx.all(sa.select(PROVIDER_TRAITS.c.trait).distinct())}
        names = names & borne if wanted[0].lower() == "true" else names - borne
    return sorted(names)


def by_name(names: set[str], pairs: Mapping[str, list[str]]) -> set[str]:
    if "name" not in pairs:
        return names
    operator, colon, value = pairs["name"][0].partition(":")
    if not colon or operator not in ("in", "startswith"):
        raise errors.Invalid(
            "Badly formatted name parameter. Expected name query string parameter in form: "
            f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{pairs["name"][0][:200]}"'
        )
    if operator == "in":
        return names.intersection(value.split(","))
    return {name for name in names if name.startswith(value)}


