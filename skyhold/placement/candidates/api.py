# SPDX-License-Identifier: Apache-2.0
"""GET /allocation_candidates: which providers could serve a request now.

The query is read by logic/asking.py. The one thing to know first: while no provider is nested and
none shares, a request with one group is answered by one SQL query (flat.py); everything else loads
the providers and searches (trees.py, logic/candidates.py).
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.placement import policy, versions
from skyhold.placement.answers import Pairs, answer
from skyhold.placement.candidates import flat, render, trees
from skyhold.placement.logic import asking, candidates
from skyhold.placement.logic.asking import Group, Request
from skyhold.placement.logic.explain import explain
from skyhold.placement.providers import refuse_unknown_words

MOST = 100_000
"""Without a limit a request over trees stops here: combinations grow with the product of the choices."""

routes = Routes()


@routes.get("/allocation_candidates", policy=policy.CANDIDATES_LIST, since="1.10", query=Pairs)
async def index(ctx: Context, query: Pairs) -> Reply:
    """List allocation candidates."""
    request = asking.read_request(query.extra, ctx.version)
    body = await ctx.read(found, request)
    return answer(ctx, body, content_type="application/json")


def found(tx: Tx, ctx: Context, request: Request) -> bytes | dict[str, Any]:
    """The answer's body; Invalid for classes or traits that don't exist."""
    refuse_unknown_words(tx, request)
    if len(request.groups) == 1 and not request.explain and flat.is_flat(tx):
        return found_flat(tx, ctx, request)
    world = trees.load(tx)
    search = candidates.search(
        request, world, nested=ctx.version >= versions.NESTED_CANDIDATES, mapped=ctx.version >= versions.MAPPINGS
    )
    body = render.tree_body(list(islice(search, request.limit or MOST)), world, request, ctx.version)
    return body | {"explanations": explain(request, world)} if request.explain else body


def found_flat(tx: Tx, ctx: Context, request: Request) -> bytes:
    group = of_the_root_too(request)
    rows = flat.fitting_rows(tx, group, request.limit)
    others: Any = ()
    if ctx.version >= versions.SUMMARY_ALL_CLASSES:
        others = flat.other_stock(tx, group.resources, [row[0] for row in rows])
    return render.flat_body(rows, others, group, ctx.version)


def of_the_root_too(request: Request) -> Group:
    """The one group, with what is asked of the root: where nothing is nested they are the same provider."""
    [group] = request.groups
    return msgspec.structs.replace(
        group, forbidden=group.forbidden | request.root_forbidden,
        required=[*group.required, *(frozenset([trait]) for trait in sorted(request.root_required))],
    )
