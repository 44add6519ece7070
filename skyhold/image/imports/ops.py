# SPDX-License-Identifier: Apache-2.0
"""Which imports are allowed, and how one begins: the image's row, its task and the saga in one transaction.

What follows is sagas/import_image.py. The statuses and sentences are upstream's (Image API reference, image import).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from skyhold.core import errors, journal, outbound
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.outbound import Outbound
from skyhold.core.shapes import reader
from skyhold.core.versions import Version
from skyhold.image import policy, states, tasks
from skyhold.image.blobs import Stores
from skyhold.image.images import ops as images
from skyhold.image.images.shape import UUID, ImageCreate
from skyhold.image.images.store import store
from skyhold.image.imports.shape import COPY_IMAGE, GLANCE_DIRECT, GLANCE_DOWNLOAD, METHODS, WEB_DOWNLOAD, ImportRequest
from skyhold.image.sagas.import_image import ImportImage, ImportKept

if TYPE_CHECKING:
    from skyhold.core.app import Core

FROM: Final = {
    GLANCE_DIRECT: states.UPLOADING, WEB_DOWNLOAD: states.QUEUED, GLANCE_DOWNLOAD: states.QUEUED,
    COPY_IMAGE: states.ACTIVE,
}
"""The status that an image must have for each method."""
IDS: Final = re.compile(UUID)

read_image = reader(ImageCreate, Version(0, 0))


class Plan(msgspec.Struct, frozen=True):
    """`method` is the wire form without what was not given."""

    method: dict[str, Any]
    stores: list[str]
    all_must_succeed: bool
    all_stores: bool = False


# ---- what is asked ---------------------------------------------------------------------------


def plan(stores: Stores, want: ImportRequest, header: str | None) -> Plan:
    """Raises Invalid, and Conflict for a store that isn't there, as upstream."""
    if want.all_stores and want.stores:
        raise errors.Invalid("All_stores parameter can't be used with 'stores' parameter.")
    if want.all_stores:
        chosen = list(stores.writable)
    else:
        chosen = list(dict.fromkeys(want.stores or ([header] if header else [stores.default.name])))
    unknown = [name for name in chosen if name not in stores.writable]
    if unknown:
        raise errors.Conflict(
            f"There is no image store {unknown[0][:80]!r} to write to; there are {', '.join(stores.writable)}.",
            reason="unknown_store",
        )
    method = {name: value for name in want.method.__struct_fields__ if (value := getattr(want.method, name))}
    return Plan(method, chosen, want.all_stores_must_succeed, want.all_stores)


def check_method(core: Core, method: dict[str, Any]) -> None:
    """Raises Invalid for what the method can't work with."""
    name = method.get("name", "")
    if name not in METHODS:
        raise errors.Invalid(f"Unknown import method {name[:64]!r}; there are {', '.join(METHODS)}.")
    if name == WEB_DOWNLOAD:
        check_uri(core, method.get("uri", ""))
    if name == GLANCE_DOWNLOAD:
        if not method.get("glance_region"):
            raise errors.Invalid("'glance_region' needs to be set for glance-download import method")
        if not IDS.match(method.get("glance_image_id", "")):
            raise errors.Invalid("glance-download import method: image id does not look like a UUID")


def check_uri(core: Core, uri: str) -> None:
    try:
        Outbound(core.settings).check(uri)
    except outbound.Refused as refused:
        raise errors.Invalid(
            f"URI for web-download does not pass filtering: {refused.message}", reason=refused.reason
        ) from None


# ---- begin -----------------------------------------------------------------------------------


def begin(tx: Tx, ctx: Context, image_id: str, plan: Plan) -> Any:
    """Raises Conflict when the image isn't in the status that the method needs, or is being imported already."""
    row = store.get(tx, ctx, image_id, may=policy.MODIFY_IMAGE)
    name = plan.method["name"]
    if name == COPY_IMAGE:
        ctx.demand(policy.COPY_IMAGE, row._asdict())
    check_status(row, name)
    if name in (GLANCE_DIRECT, WEB_DOWNLOAD):
        images.check_formats_set(row, "before import")
    asked = {"method": plan.method, "stores": plan.stores, "all_stores": plan.all_stores,
             "all_stores_must_succeed": plan.all_must_succeed}
    task = tasks.insert(
        tx, ctx, kind="api_image_import", image_id=row.id, owner=row.project_id,
        asked={"image_id": row.id, "import_req": asked, "backend": plan.stores},
    )
    start(tx, ctx, row, plan, task.id)
    return task


def check_status(row: Any, name: str) -> None:
    if row.status == FROM[name]:
        return
    if name == GLANCE_DIRECT:
        raise errors.Conflict(
            f"Image needs to be staged before 'glance-direct' method can be used; it is {row.status}", state=row.status
        )
    if name == COPY_IMAGE:
        raise errors.Conflict(
            f"Only images with status active can be targeted for copying; this one is {row.status}", state=row.status
        )
    raise errors.Conflict(
        f"Image needs to be in 'queued' state to use '{name}' method; it is {row.status}", state=row.status
    )


def start(tx: Tx, ctx: Context, row: Any, plan: Plan, task_id: str) -> None:
    copying = plan.method["name"] == COPY_IMAGE
    has = {each["store"] for each in row.locations or ()} if copying else set()
    wanted = [name for name in plan.stores if name not in has]
    if copying and has & set(plan.stores) and not plan.all_stores:
        raise errors.Conflict(f"Image {row.id} is already in {', '.join(sorted(has & set(plan.stores)))}.")
    importing = {"task": task_id, "stores": wanted, "failed": []}
    ImportImage.start(tx, ctx, subject=row.id, kept=ImportKept(
        task_id=task_id, method=plan.method, stores=wanted, all_must_succeed=plan.all_must_succeed,
        staged=row.blob or "",
    ))
    if copying:
        row = store.update(tx, row, importing=importing)
    else:
        row = store.move(tx, row, FROM[plan.method["name"]], states.IMPORTING, importing=importing)
    journal.record(tx, "image.import.start", row)


# ---- upstream's older way --------------------------------------------------------------------


class TaskImport(msgspec.Struct, frozen=True):
    asked: dict[str, Any]
    image: ImageCreate
    plan: Plan


def read_task_input(core: Core, asked: dict[str, Any]) -> TaskImport:
    """Raises Invalid for an input that is none of an import."""
    missing = [name for name in ("import_from", "import_from_format", "image_properties") if not asked.get(name)]
    if missing:
        raise errors.Invalid(f"Input does not contain '{missing[0]}' field")
    uri, properties = asked["import_from"], asked["image_properties"]
    if not isinstance(uri, str) or not isinstance(properties, dict):
        raise errors.Invalid("import_from must be a URL and image_properties an object.")
    check_uri(core, uri)
    image = read_image({"disk_format": asked["import_from_format"], "container_format": "bare"} | properties)
    from skyhold.image.blobs import stores_of

    plan = Plan({"name": WEB_DOWNLOAD, "uri": uri}, [stores_of(core).default.name], True)
    return TaskImport(asked, image, plan)


def by_task(tx: Tx, ctx: Context, want: TaskImport) -> Any:
    """The task. Raises what creating an image raises."""
    row = images.insert(tx, ctx, want.image)
    images.check_formats_set(row, "before import")
    task = tasks.insert(tx, ctx, kind="import", image_id=row.id, asked=want.asked, owner=row.project_id)
    start(tx, ctx, row, want.plan, task.id)
    return task
