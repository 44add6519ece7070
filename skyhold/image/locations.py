# SPDX-License-Identifier: Apache-2.0
"""Where an image's content is, said by a user: `POST /v2/images/{id}/locations`, and the older JSON patch.

Only URLs that a read-only store of this cloud reads can be given (drivers/http.py), and each is looked at before it is
believed to be there. Reading and hashing it is sagas/hash_location.py; without that hash no host boots the image. The
one thing to know first: a location is not ours to delete, so an image that failed its check keeps it, as upstream.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from skyhold.core import errors, journal
from skyhold.core.blobs import flow
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, field
from skyhold.image import blobs, content, policy, signatures, states, tasks
from skyhold.image.drivers.base import BlobStore, NoSuchBlob, StoreAway
from skyhold.image.images import ops
from skyhold.image.images.shape import View, shown_location, url_of
from skyhold.image.images.store import get, store
from skyhold.image.logic import signing
from skyhold.image.logic.patch import Change

if TYPE_CHECKING:
    from skyhold.core.app import Core

ALGORITHMS: Final = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")
HASH_CHARS: Final = {name: hashlib.new(name, usedforsecurity=False).digest_size * 2 for name in ALGORITHMS}
HEX: Final = re.compile(r"[0-9a-f]+")
METADATA_CHARS: Final = 4096

# ---- shape ---------------------------------------------------------------------------------


class Validation(Shape, extra="ignore"):
    os_hash_algo: str | None = field(default=None, max=64)
    os_hash_value: str | None = field(default=None, max=128)


class LocationCreate(Shape, extra="ignore"):
    url: str = field(min=1, max=2048)
    validation_data: Validation | None = field(default=None)


class Promise(msgspec.Struct, frozen=True):
    """What whoever gives a location says that it hashes to."""

    algorithm: str = ""
    value: str = ""
    checksum: str | None = None


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.post("/v2/images/{image_id}/locations", policy=policy.ADD_LOCATION, body=LocationCreate, status=202)
async def create(ctx: Context, image_id: str, want: LocationCreate) -> None:
    """Give an image content that is elsewhere."""
    given = want.validation_data
    promise = promised({"os_hash_algo": given.os_hash_algo, "os_hash_value": given.os_hash_value} if given else {})
    await ctx.read(check_may_have, image_id)
    place, size_bytes = await looked_at(ctx.core, want.url)
    await ctx.write(add, image_id, place, want.url, size_bytes, promise)


@routes.get("/v2/images/{image_id}/locations", policy=policy.FETCH_LOCATION)
async def index(ctx: Context, image_id: str) -> list[dict[str, Any]]:
    """List where an image's content is."""
    row = await ctx.read(get, image_id)
    stores = blobs.stores_of(ctx.core)
    view = View(stores.ordered, stores.get, True)
    return [shown_location(each, view) for each in row.locations or ()]


# ---- looking -------------------------------------------------------------------------------


async def looked_at(core: Core, url: str) -> tuple[str, int]:
    """The store that reads the URL, and how long its content says it is. Raises Invalid."""
    place = blobs.stores_of(core).for_url(url)
    size_bytes: int = await flow.in_pool(blobs.WAITING_POOL, size_of, place, url)
    return place.name, size_bytes


def size_of(place: BlobStore, url: str) -> int:
    try:
        reader = place.open(url)
    except (NoSuchBlob, StoreAway) as error:
        raise errors.Invalid(f"The location can't be read: {error}", reason="location_unreadable") from None
    size_bytes = reader.size_bytes
    reader.close()
    return size_bytes


def promised(given: dict[str, Any]) -> Promise:
    """Raises Invalid for hashes that can't be any."""
    algorithm, value = given.get("os_hash_algo"), given.get("os_hash_value")
    checksum = given.get("checksum")
    if checksum is not None and not is_hash(checksum, "md5"):
        raise errors.Invalid("checksum must be 32 hexadecimal digits.")
    if algorithm is None and value is None:
        return Promise(checksum=checksum)
    if algorithm not in HASH_CHARS:
        known = ", ".join(ALGORITHMS)
        raise errors.Invalid(f"os_hash_algo is required with os_hash_value, and must be one of {known}.")
    if not is_hash(value, algorithm):
        raise errors.Invalid(f"os_hash_value must be the {HASH_CHARS[algorithm]} hexadecimal digits of a {algorithm}.")
    return Promise(algorithm, str(value), checksum)


def is_hash(value: Any, algorithm: str) -> bool:
    return isinstance(value, str) and len(value) == HASH_CHARS[algorithm] and bool(HEX.fullmatch(value))


# ---- the newer way -------------------------------------------------------------------------


def check_may_have(tx: Tx, ctx: Context, image_id: str) -> None:
    """Before anybody goes out to look."""
    check_queued(store.get(tx, ctx, image_id, may=policy.ADD_LOCATION))


def check_queued(row: Any) -> None:
    if row.status != states.QUEUED:
        raise errors.Conflict(f"Only a queued image can be given a location; this one is {row.status}.")
    ops.check_formats_set(row, "before a location is added")


def add(tx: Tx, ctx: Context, image_id: str, place: str, url: str, size_bytes: int, promise: Promise) -> None:
    """With a promise, of which a signature is one, the image waits until it was kept; without, it is active at once and
    hashed afterwards."""
    from skyhold.image.sagas.hash_location import HashKept, HashLocation

    row = store.get(tx, ctx, image_id, may=policy.ADD_LOCATION)
    check_queued(row)
    hashing = ctx.core.settings.image.do_secure_hash
    locations = [{"store": place, "url": url, "metadata": {}}]
    task = tasks.insert(
        tx, ctx, kind="location_import", image_id=row.id, owner=row.project_id,
        asked={"image_id": row.id, "loc_url": url,
               "validation_data": {"os_hash_algo": promise.algorithm, "os_hash_value": promise.value}},
    )
    if hashing and (promise.value or is_signed(row)):
        row = store.move(tx, row, states.QUEUED, states.IMPORTING, locations=locations)
    else:
        algorithm = promise.algorithm or ("sha512" if hashing else "")
        row = activated(tx, row, size_bytes, locations, hash_algo=algorithm or None, hash_value=promise.value or None)
    journal.record(tx, "image.locations.add", row)
    if hashing:
        HashLocation.start(tx, ctx, subject=row.id, kept=HashKept(
            task_id=task.id, place=place, url=url, algorithm=promise.algorithm, value=promise.value,
        ))
    else:
        tasks.end(tx, task.id, states.SUCCESS)


def is_signed(row: Any) -> bool:
    """Raises Invalid for a signature that can't be one."""
    try:
        return signing.promised(row.properties) is not None
    except signing.Unverified as why:
        raise signatures.refused(why) from None


def activated(tx: Tx, row: Any, size_bytes: int | None, locations: list[dict[str, Any]], **more: Any) -> Any:
    """Raises OverQuota."""
    return store.move(
        tx, row, (states.QUEUED, states.IMPORTING), states.ACTIVE, size_bytes=size_bytes, locations=locations, **more
    )


# ---- the older way: JSON patch -------------------------------------------------------------


def update(tx: Tx, ctx: Context, image_id: str, changes: list[Change], seen: dict[str, tuple[str, int]]) -> Any:
    """A patch of an image, its locations included; all of it or nothing."""
    row = ops.update(tx, ctx, image_id, [change for change in changes if change.name != "locations"])
    return patched(tx, ctx, row, changes, seen)


async def sizes(ctx: Context, image_id: str, changes: Sequence[Change]) -> dict[str, tuple[str, int]]:
    """What is at the URLs that a patch adds, looked at before the patch is decided on. Raises Invalid, Forbidden."""
    wanted = [change for change in changes if change.name == "locations" and change.op != "remove"]
    if not wanted:
        return {}
    check_visible(ctx)
    await ctx.read(lambda tx, ctx: store.get(tx, ctx, image_id, may=policy.MODIFY_IMAGE))
    given = [each for change in wanted for each in (change.value if isinstance(change.value, list) else [change.value])]
    check_number(ctx, len(given))
    found = {}
    for each in given:
        url = checked(each)["url"]
        if not is_ours(ctx.core, url):
            found[url] = await looked_at(ctx.core, url)
    return found


def check_number(ctx: Context, number: int) -> None:
    ops.check_number("locations", number, ctx.core.settings.image.image_location_quota)


def is_ours(core: Core, url: str) -> bool:
    """Of a blob in a store of this cloud: it can stay where it stands, and not be added."""
    kinds = {each.kind for each in blobs.stores_of(core).every()}
    return url.partition(":")[0] in kinds - {"http"}


def check_visible(ctx: Context) -> None:
    if not ctx.core.settings.image.show_multiple_locations:
        raise errors.Forbidden("It's not allowed to update locations if locations are invisible.")


def checked(given: Any) -> dict[str, Any]:
    """A location as a user writes it. Raises Invalid."""
    if not isinstance(given, dict) or not isinstance(given.get("url"), str) or not given["url"]:
        raise errors.Invalid("A location is an object with a url, and may have metadata and validation_data.")
    metadata = given.get("metadata", {})
    if not isinstance(metadata, dict) or len(repr(metadata)) > METADATA_CHARS:
        raise errors.Invalid(f"A location's metadata is an object of at most {METADATA_CHARS} characters.")
    if not isinstance(given.get("validation_data", {}), dict):
        raise errors.Invalid("A location's validation_data is an object.")
    return given


def patched(tx: Tx, ctx: Context, row: Any, changes: Sequence[Change], seen: dict[str, tuple[str, int]]) -> Any:
    """The row after those changes that are about locations."""
    for change in changes:
        if change.name != "locations":
            continue
        check_visible(ctx)
        ctx.demand(policy.SET_LOCATION, row._asdict())
        if change.op == "remove":
            row = removed(tx, ctx, row, change.where)
        elif change.op == "add" and change.where is not None:
            row = appended(tx, ctx, row, checked(change.value), seen)
        else:
            row = replaced(tx, ctx, row, change.value, seen)
    return row


def appended(tx: Tx, ctx: Context, row: Any, given: dict[str, Any], seen: dict[str, tuple[str, int]]) -> Any:
    if row.status not in (states.QUEUED, states.ACTIVE):
        raise errors.Conflict(f"A location can be added to a queued or active image; this one is {row.status}.")
    url, before = given["url"], row.locations or []
    if url not in seen:
        raise errors.Invalid(f"{url[:200]} is a place in a store of this cloud, and can't be given as a location.")
    if any(each.get("url") == url for each in before):
        raise errors.Invalid(f"The image has the location {url[:200]} already.")
    check_number(ctx, len(before) + 1)
    place, size_bytes = seen[url]
    metadata = {name: value for name, value in given.get("metadata", {}).items() if name != "store"}
    locations = [*before, {"store": place, "url": url, "metadata": metadata}]
    values = agreed(row, given.get("validation_data", {}))
    if row.status == states.ACTIVE:
        new = store.update(tx, row, locations=locations, **values)
    else:
        ops.check_formats_set(row, "before a location is added")
        new = activated(tx, row, size_bytes, locations, **values)
    journal.record(tx, "image.locations.add", new)
    return new


def agreed(row: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Column values for what was promised. Raises Conflict when the image is known to hash to something else, and
    Invalid for hashes that can't be any: in this order, as upstream."""
    known_algorithm = row.hash_algo or ("sha512" if row.sha512 else None)
    known = {"os_hash_algo": known_algorithm, "os_hash_value": row.hash_value or row.sha512, "checksum": row.checksum}
    if row.locations:
        for name, value in known.items():
            if given.get(name) not in (None, value):
                raise errors.Conflict(f"{name} is {value} already, and can't become {str(given[name])[:128]}.")
    promise = promised(given)
    if row.locations or not (promise.value or promise.checksum):
        return {}
    return {
        "hash_algo": promise.algorithm or None, "hash_value": promise.value or None, "checksum": promise.checksum,
    }


def replaced(tx: Tx, ctx: Context, row: Any, given: Any, seen: dict[str, tuple[str, int]]) -> Any:
    """Metadata may change; which locations there are may not, but for an image that has none."""
    if not isinstance(given, list):
        raise errors.Invalid("locations is a list.")
    wanted = [checked(each) for each in given]
    if not row.locations:
        for each in wanted:
            row = appended(tx, ctx, row, each, seen)
        return row
    stores = blobs.stores_of(ctx.core)
    view = View(stores.ordered, stores.get, True)
    if [each["url"] for each in wanted] != [url_of(each, view) for each in row.locations]:
        raise errors.Invalid("Locations can't be replaced by others: add and remove them one by one.")
    locations = [
        {**has, "metadata": {name: value for name, value in each.get("metadata", {}).items() if name != "store"}}
        for has, each in zip(row.locations, wanted, strict=True)
    ]
    if locations == row.locations:
        return row
    row = store.update(tx, row, locations=locations)
    journal.record(tx, "image.update", row)
    return row


def removed(tx: Tx, ctx: Context, row: Any, where: str | None) -> Any:
    ctx.demand(policy.DELETE_LOCATION, row._asdict())
    has = row.locations or []
    if where is None or not where.isdigit() or int(where) >= len(has):
        raise errors.Invalid(f"The image has {len(has)} locations: there is no /locations/{where}.")
    if row.status != states.ACTIVE:
        raise errors.Conflict(f"Locations are removed from active images; this one is {row.status}.")
    if len(has) == 1:
        raise errors.Forbidden("The last location of an image can't be removed: delete the image instead.")
    gone, rest = has[int(where)], [each for i, each in enumerate(has) if i != int(where)]
    row = store.update(tx, row, locations=rest)
    journal.record(tx, "image.locations.remove", row)
    if gone.get("blob"):
        superfluous, core = content.release(tx, [(gone["store"], gone["blob"])]), ctx.core
        tx.after_commit(lambda: blobs.discard_soon(core, superfluous))
    return row
