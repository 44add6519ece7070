# SPDX-License-Identifier: Apache-2.0
"""What happens to an image's record: create, change, delete. Its bytes are files.py.

Queries are store.py. The one thing to know first: deleting only removes the row; the bytes are
removed after the commit, and by the loop of loops/orphans.py should that be missed.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import ABSENT, reader
from skyhold.core.versions import Version
from skyhold.image import content, descendants, policy, protection, quotas, states
from skyhold.image.images.shape import READ_ONLY, RESERVED, RESERVED_PREFIX, ImageCreate
from skyhold.image.images.store import get, page, set_terms, store
from skyhold.image.logic.listing import Listing
from skyhold.image.logic.patch import Change
from skyhold.image.logic.protection import Verb

NAME_CHARS = 255
VALUE_CHARS = 65535

ATTRIBUTES = {
    "name": "name", "visibility": "visibility", "protected": "protected", "os_hidden": "hidden",
    "disk_format": "disk_format", "container_format": "container_format", "min_disk": "min_disk_gb",
    "min_ram": "min_ram_mb", "tags": "tags", "owner": "project_id",
}
"""What a patch may change, and the column of it."""
VERBS: dict[str, Verb] = {"add": "update", "replace": "update", "remove": "delete"}
"""What an operation of a patch does to a property that is there."""
FIXED_WITH_CONTENT = ("disk_format", "container_format")

read_attributes = reader(ImageCreate, Version(0, 0))


# ---- create ----------------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: ImageCreate) -> Any:
    """Raises Forbidden, Conflict for an id that is taken, TooLarge for too many tags, OverQuota."""
    for name in want.extra:
        check_name(name)
    check_properties(ctx, want.extra)
    check_tags(ctx, want.tags)
    owner = owner_of(ctx, want)
    protection.check_new(ctx, owner, want.extra)
    check_visibility(ctx, want.visibility, owner)
    return add(
        tx, ctx, id=want.id.lower() if want.id else None, project_id=owner, name=want.name, visibility=want.visibility,
        disk_format=want.disk_format, container_format=want.container_format, min_disk_gb=want.min_disk,
        min_ram_mb=want.min_ram, protected=want.protected, hidden=want.os_hidden,
        tags=sorted(set(want.tags)), properties=want.extra,
    )


def add(tx: Tx, ctx: Context, **values: Any) -> Any:
    """Write a queued image whose values were checked; `id` None lets us choose. Raises Conflict, OverQuota."""
    if values["id"] is None:
        row = store.insert(tx, status=states.QUEUED, **{**values, "id": ctx.new_id()})
    else:
        row = insert_as_named(tx, values)
    set_terms(tx, row.id, row)
    journal.record(tx, "image.create", row)
    return row


def insert_as_named(tx: Tx, values: dict[str, Any]) -> Any:
    row = store.add(tx, status=states.QUEUED, **values)
    if row is None:
        raise errors.Conflict(f"Image ID {values['id']} already exists!")
    return row


def owner_of(ctx: Context, want: ImageCreate) -> str | None:
    given: Any = want.owner
    owner: str | None = (ctx.project_id or None) if given is ABSENT else given
    if not ctx.allows(policy.ADD_IMAGE, {"project_id": owner}):
        why = ctx.core.policy.explain(policy.ADD_IMAGE.name, ctx.creds)
        raise errors.Forbidden(f"You are not permitted to create images owned by '{owner}': {why}")
    return owner


# ---- change ----------------------------------------------------------------------------------


def update(tx: Tx, ctx: Context, image_id: str, changes: list[Change]) -> Any:
    """Apply a patch, all of it or nothing. Raises Forbidden for what is read-only, Conflict for a
    property that is not there, Invalid for values of the wrong kind, TooLarge."""
    row = store.get(tx, ctx, image_id, may=policy.MODIFY_IMAGE)
    attributes: dict[str, Any] = {}
    properties = dict(row.properties)
    for change in changes:
        if change.name in ATTRIBUTES:
            set_attribute(attributes, change)
        else:
            set_property(ctx, row, properties, change)
    values = checked_attributes(ctx, row, attributes)
    if properties != row.properties:
        check_properties(ctx, properties, had=len(row.properties))
        values["properties"] = properties
    return write(tx, row, values, "image.update")


def set_attribute(attributes: dict[str, Any], change: Change) -> None:
    if change.op == "remove":
        raise errors.Forbidden(f"Property {change.name} may not be removed.")
    if change.strict and change.op == "add":
        raise errors.Conflict(f"Property {change.name} already present.")
    attributes[change.name] = change.value


def set_property(ctx: Context, row: Any, properties: dict[str, Any], change: Change) -> None:
    check_name(change.name)
    there = change.name in properties
    if change.op != "add" and not there:
        raise errors.Conflict(f"Property {change.name} does not exist.")
    protection.check_change(ctx, row, change.name, VERBS[change.op] if there else "create")
    if change.op == "add" and change.strict and there:
        raise errors.Conflict(f"Property {change.name} already present.")
    if change.op == "remove":
        del properties[change.name]
    else:
        properties[change.name] = change.value


def checked_attributes(ctx: Context, row: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """Column values, after the same checks as at creation."""
    if not attributes:
        return {}
    read = read_attributes(attributes)
    values = {ATTRIBUTES[name]: getattr(read, name) for name in attributes}
    for name in FIXED_WITH_CONTENT:
        if values.get(name, getattr(row, name)) != getattr(row, name) and row.status != states.QUEUED:
            raise errors.Forbidden(f"Attribute {name} can be only replaced for a queued image.")
    if values.get("project_id", row.project_id) != row.project_id and "admin" not in ctx.creds.roles:
        roles = ", ".join(sorted(ctx.creds.roles)) or "none"
        raise errors.Forbidden(f"Owner can't be updated by non admin: it needs role admin; your roles are {roles}.")
    if values.get("visibility", row.visibility) != row.visibility:
        check_visibility(ctx, values["visibility"], row.project_id)
    if "tags" in values:
        check_tags(ctx, values["tags"], had=len(row.tags))
        values["tags"] = sorted(set(values["tags"]))
    return values


def write(tx: Tx, row: Any, values: dict[str, Any], action: str) -> Any:
    """Update the row and what it is found by; nothing when nothing changed."""
    if all(getattr(row, name) == value for name, value in values.items()):
        return row
    new = store.update(tx, row, **values)
    if new.tags != row.tags or new.properties != row.properties:
        set_terms(tx, row.id, new, before=row)
    journal.record(tx, action, new)
    return new


# ---- tags ------------------------------------------------------------------------------------


def add_tag(tx: Tx, ctx: Context, image_id: str, tag: str) -> None:
    row = store.get(tx, ctx, image_id, may=policy.MODIFY_IMAGE)
    tags = sorted({*row.tags, tag})
    check_tags(ctx, tags, had=len(row.tags))
    write(tx, row, {"tags": tags}, "image.update")


def remove_tag(tx: Tx, ctx: Context, image_id: str, tag: str) -> None:
    row = store.get(tx, ctx, image_id, may=policy.MODIFY_IMAGE)
    if tag not in row.tags:
        raise errors.NotFound(f"Image {image_id} has no tag {tag}.")
    write(tx, row, {"tags": [each for each in row.tags if each != tag]}, "image.update")


# ---- activity --------------------------------------------------------------------------------


def deactivate(tx: Tx, ctx: Context, image_id: str) -> None:
    move(tx, ctx, image_id, policy.DEACTIVATE, states.ACTIVE, states.DEACTIVATED)


def reactivate(tx: Tx, ctx: Context, image_id: str) -> None:
    move(tx, ctx, image_id, policy.REACTIVATE, states.DEACTIVATED, states.ACTIVE)


def move(tx: Tx, ctx: Context, image_id: str, rule: Rule, before: str, after: str) -> None:
    row = store.get(tx, ctx, image_id, may=rule)
    if row.status == after:
        return
    if row.status != before:
        raise errors.Forbidden(f"Not allowed to make image {image_id} {after}: its status is '{row.status}'.")
    verb = "deactivate" if after == states.DEACTIVATED else "reactivate"
    journal.record(tx, f"image.{verb}", store.move(tx, row, before, after))


# ---- delete ----------------------------------------------------------------------------------


def remove(tx: Tx, ctx: Context, image_id: str, if_unused: bool) -> list[content.Placed]:
    """What to discard after the commit. Allowed in every state; an upload or import under way finds its image gone.
    Raises Forbidden, and Conflict with `if_unused` for an image that something stands on."""
    row = store.get(tx, ctx, image_id, may=policy.DELETE_IMAGE)
    if row.protected:
        raise errors.Forbidden(f"Image {image_id} is protected and cannot be deleted.")
    if if_unused:
        descendants.check_unused(tx, ctx, row)
    return drop(tx, row)


def drop(tx: Tx, row: Any) -> list[content.Placed]:
    """The blobs that no image names any more: whoever calls this sees to them after the commit."""
    store.delete(tx, row)
    gone = content.release_of(tx, row)
    journal.record(tx, "image.delete", row)
    return gone


# ---- read ------------------------------------------------------------------------------------


def show(tx: Tx, ctx: Context, image_id: str) -> Any:
    return get(tx, ctx, image_id)


def list_page(tx: Tx, ctx: Context, want: Listing) -> list[Any]:
    """Nobody searches by what they may not read: an answer would tell it."""
    if not protection.may_search(ctx, ctx.project_id, want.properties):
        return []
    rows = [row for row in page(tx, ctx, want) if protection.may_search(ctx, row.project_id, want.properties)]
    return protection.shown_to(ctx, rows)


def usage(tx: Tx, ctx: Context) -> dict[str, dict[str, int]]:
    limits, used = quotas.quota.limits(tx, ctx.project_id), quotas.quota.usage(tx, ctx.project_id)
    return {name: {"limit": limits[name], "usage": used[name]} for name in limits}


# ---- checks ----------------------------------------------------------------------------------


def check_formats_set(row: Any, until: str) -> None:
    missing = [name for name in FIXED_WITH_CONTENT if getattr(row, name) is None]
    if missing:
        raise errors.Invalid(f"Properties {', '.join(missing)} must be set {until}.")


def check_name(name: str) -> None:
    if name in READ_ONLY or name == "id":
        raise errors.Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise errors.Forbidden(f"Attribute '{name}' is reserved.")
    if not 0 < len(name) <= NAME_CHARS:
        raise errors.Invalid(f"A property's name has 1 to {NAME_CHARS} characters.")


def check_properties(ctx: Context, properties: dict[str, Any], had: int = 0) -> None:
    check_number("properties", len(properties), ctx.core.settings.image.image_property_quota, had)
    for name, value in properties.items():
        if not isinstance(value, str):
            raise errors.Invalid(f"The value of property {name} must be a string.")
        if len(value) > VALUE_CHARS:
            raise errors.Invalid(f"The value of property {name} is longer than {VALUE_CHARS} characters.")


def check_tags(ctx: Context, tags: list[str], had: int = 0) -> None:
    check_number("tags", len(set(tags)), ctx.core.settings.image.image_tag_quota, had)


def check_number(what: str, number: int, most: int, had: int = 0) -> None:
    """Raises TooLarge. `most` is a setting, and no limit when negative; an image that had more before it was lowered
    keeps what it has, and may have fewer."""
    if 0 <= most < number and number > had:
        raise errors.TooLarge(f"An image has at most {most} {what}, not {number}.")


def check_visibility(ctx: Context, visibility: str, owner: str | None) -> None:
    rule = {"public": policy.PUBLICIZE_IMAGE, "community": policy.COMMUNITIZE_IMAGE}.get(visibility)
    if rule is not None and not ctx.allows(rule, {"project_id": owner}):
        reason = ctx.core.policy.explain(rule.name, ctx.creds)
        raise errors.Forbidden(f"You may not make an image {visibility}: {reason}")
