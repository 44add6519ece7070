# SPDX-License-Identifier: Apache-2.0
"""Races of volume's operations.

What an entry means is ../duel.py. A wrong state is a bad request in this API, so 400 is how many may lose.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import internal
from skyhold.volume import pools
from skyhold.volume.drivers.base import VolumePool
from skyhold.volume.tables import SNAPSHOTS
from tests.race.duel import Call, Duel, Ground, name, race

V = "/volume/v3"
LATEST = {"OpenStack-API-Version": "volume 3.70"}
LOSES = (400,)


async def rest(g: Ground) -> None:
    assert await g.cloud.core.sagas.idle()


async def a_volume(g: Ground, **wish: Any) -> str:
    made = await g.make(f"{V}/volumes", "volume", g.user, **({"size": 1} | wish))
    await rest(g)
    return f"{V}/volumes/{made['id']}"


async def a_snapshot(g: Ground, **wish: Any) -> str:
    volume = await a_volume(g)
    made = await g.make(f"{V}/snapshots", "snapshot", g.user, volume_id=id_of(volume), **wish)
    await rest(g)
    return f"{V}/snapshots/{made['id']}"


async def an_attachment(g: Ground, **wish: Any) -> str:
    body = {"attachment": {"volume_uuid": id_of(await a_volume(g))} | wish}
    made = await g.user.post(f"{V}/attachments", body, headers=LATEST, status=200)
    return f"{V}/attachments/{made.json['attachment']['id']}"


async def a_type(g: Ground, **wish: Any) -> str:
    made = await g.make(f"{V}/types", "volume_type", name=name("type"), **wish)
    return f"{V}/types/{made['id']}"


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def gone(g: Ground, path: str) -> Call:
    return Call(g.user, "DELETE", path, headers=LATEST)


def acting(g: Ground, path: str, body: Any, winners: tuple[int, ...] = (1,), who: Any = None) -> Duel:
    one = Call(who or g.user, "POST", path + "/action", body)
    return Duel(one, gone=gone(g, path), winners=winners, refusals=LOSES)


def change(g: Ground, path: str, kind: str, first: Any, second: Any, who: Any = None) -> Duel:
    """Two changes of different attributes, neither of which may be lost."""
    who = who or g.user
    return Duel(
        Call(who, "PUT", path, {kind: first}), Call(who, "PUT", path, {kind: second}), winners=(2,),
        gone=Call(who, "DELETE", path), keeps=(who, path, {kind: first | second}), refusals=LOSES,
    )


# ---- volumes ---------------------------------------------------------------------------------


@race("POST /volume/v3/volumes")
async def create_volume(g: Ground) -> Duel:
    """Of a snapshot, which may be deleted, or copied, but not both."""
    snapshot = await a_snapshot(g)
    one = Call(g.user, "POST", f"{V}/volumes", {"volume": {"snapshot_id": id_of(snapshot)}})
    return Duel(one, gone=gone(g, snapshot), winners=(2,), refusals=LOSES)


@race("PUT /volume/v3/volumes/{volume_id}")
async def change_volume(g: Ground) -> Duel:
    return change(g, await a_volume(g), "volume", {"name": "one"}, {"description": "two"})


@race("DELETE /volume/v3/volumes/{volume_id}")
async def delete_volume(g: Ground) -> Duel:
    volume = await a_volume(g)
    snap = Call(g.user, "POST", f"{V}/snapshots", {"snapshot": {"volume_id": id_of(volume)}})
    return Duel(gone(g, volume), gone=snap, winners=(1,), refusals=LOSES)


@race("POST /volume/v3/volumes/{volume_id}/action os-extend")
async def extend(g: Ground) -> Duel:
    return acting(g, await a_volume(g), {"os-extend": {"new_size": 2}})


@race("POST /volume/v3/volumes/{volume_id}/action os-volume_upload_image")
async def upload(g: Ground) -> Duel:
    return acting(g, await a_volume(g), {"os-volume_upload_image": {"image_name": name()}})


@race("POST /volume/v3/volumes/{volume_id}/action os-set_bootable")
async def set_bootable(g: Ground) -> Duel:
    return acting(g, await a_volume(g), {"os-set_bootable": {"bootable": True}}, (2,))


@race("POST /volume/v3/volumes/{volume_id}/action os-show_image_metadata")
async def show_image_metadata(g: Ground) -> Duel:
    return acting(g, await a_volume(g), {"os-show_image_metadata": None}, (2,))


@race("POST /volume/v3/volumes/{volume_id}/action os-set_image_metadata")
async def set_image_metadata(g: Ground) -> Duel:
    """Both items are there afterwards."""
    volume = await a_volume(g)
    one, two = (
        Call(g.user, "POST", volume + "/action", {"os-set_image_metadata": {"metadata": {key: "1"}}})
        for key in ("one", "two")
    )
    kept = {"volume": {"volume_image_metadata": {"one": "1", "two": "1"}}}
    return Duel(one, two, gone=gone(g, volume), winners=(2,), keeps=(g.user, volume, kept), refusals=LOSES)


@race("POST /volume/v3/volumes/{volume_id}/action os-unset_image_metadata")
async def unset_image_metadata(g: Ground) -> Duel:
    volume = await a_volume(g)
    body = {"os-set_image_metadata": {"metadata": {"raven": "1"}}}
    await g.user.post(volume + "/action", body, status=200)
    return acting(g, volume, {"os-unset_image_metadata": {"key": "raven"}})


@race("POST /volume/v3/volumes/{volume_id}/action os-reserve")
async def reserve(g: Ground) -> Duel:
    return acting(g, await a_volume(g), {"os-reserve": None})


@race("POST /volume/v3/volumes/{volume_id}/action os-unreserve")
async def unreserve(g: Ground) -> Duel:
    volume = await a_volume(g)
    await g.user.post(volume + "/action", {"os-reserve": None}, status=202)
    return acting(g, volume, {"os-unreserve": None}, (2,))


@race("POST /volume/v3/volumes/{volume_id}/action os-attach")
async def attach(g: Ground) -> Duel:
    return acting(g, await a_volume(g), {"os-attach": {"host_name": "h", "mountpoint": "/dev/vdc"}})


async def used(g: Ground) -> str:
    volume = await a_volume(g)
    await g.user.post(volume + "/action", {"os-attach": {"host_name": "h", "mountpoint": "/dev/vdc"}}, status=202)
    return volume


@race("POST /volume/v3/volumes/{volume_id}/action os-detach")
async def detach(g: Ground) -> Duel:
    return acting(g, await used(g), {"os-detach": {}})


@race("POST /volume/v3/volumes/{volume_id}/action os-begin_detaching")
async def begin_detaching(g: Ground) -> Duel:
    return acting(g, await used(g), {"os-begin_detaching": None})


@race("POST /volume/v3/volumes/{volume_id}/action os-roll_detaching")
async def roll_detaching(g: Ground) -> Duel:
    volume = await used(g)
    await g.user.post(volume + "/action", {"os-begin_detaching": None}, status=202)
    return acting(g, volume, {"os-roll_detaching": None}, (2,))


@race("POST /volume/v3/volumes/{volume_id}/action os-reset_status")
async def reset_status(g: Ground) -> Duel:
    return acting(g, await a_volume(g), {"os-reset_status": {"status": "error"}}, (2,), g.admin)


@race("POST /volume/v3/volumes/{volume_id}/action os-force_delete")
async def force_delete(g: Ground) -> Duel:
    """The second finds it gone, or going as it wished."""
    return acting(g, await a_volume(g), {"os-force_delete": None}, (1, 2), g.admin)


# ---- metadata --------------------------------------------------------------------------------


def item(g: Ground, path: str) -> Duel:
    """Two items set at once are both there."""
    at = path + "/metadata"
    one, two = (Call(g.user, "PUT", f"{at}/{key}", {"meta": {key: "1"}}) for key in ("one", "two"))
    return Duel(one, two, gone=gone(g, path), winners=(2,), keeps=(g.user, at, {"metadata": {"one": "1", "two": "1"}}),
                refusals=LOSES)


def added(g: Ground, path: str) -> Duel:
    at = path + "/metadata"
    one, two = (Call(g.user, "POST", at, {"metadata": {key: "1"}}) for key in ("one", "two"))
    return Duel(one, two, gone=gone(g, path), winners=(2,), keeps=(g.user, at, {"metadata": {"one": "1", "two": "1"}}),
                refusals=LOSES)


def replaced(g: Ground, path: str) -> Duel:
    return Duel(Call(g.user, "PUT", path + "/metadata", {"metadata": {"a": "1"}}), gone=gone(g, path), winners=(2,),
                refusals=LOSES)


def dropped(g: Ground, path: str) -> Duel:
    one = Call(g.user, "DELETE", path + "/metadata/raven")
    return Duel(one, gone=gone(g, path), winners=(1,), refusals=LOSES)


@race("PUT /volume/v3/volumes/{volume_id}/metadata/{key}")
async def set_volume_item(g: Ground) -> Duel:
    return item(g, await a_volume(g))


@race("POST /volume/v3/volumes/{volume_id}/metadata")
async def add_volume_items(g: Ground) -> Duel:
    return added(g, await a_volume(g))


@race("PUT /volume/v3/volumes/{volume_id}/metadata")
async def replace_volume_items(g: Ground) -> Duel:
    return replaced(g, await a_volume(g))


@race("DELETE /volume/v3/volumes/{volume_id}/metadata/{key}")
async def drop_volume_item(g: Ground) -> Duel:
    return dropped(g, await a_volume(g, metadata={"raven": "1"}))


@race("PUT /volume/v3/snapshots/{snapshot_id}/metadata/{key}")
async def set_snapshot_item(g: Ground) -> Duel:
    return item(g, await a_snapshot(g))


@race("POST /volume/v3/snapshots/{snapshot_id}/metadata")
async def add_snapshot_items(g: Ground) -> Duel:
    return added(g, await a_snapshot(g))


@race("PUT /volume/v3/snapshots/{snapshot_id}/metadata")
async def replace_snapshot_items(g: Ground) -> Duel:
    return replaced(g, await a_snapshot(g))


@race("DELETE /volume/v3/snapshots/{snapshot_id}/metadata/{key}")
async def drop_snapshot_item(g: Ground) -> Duel:
    return dropped(g, await a_snapshot(g, metadata={"raven": "1"}))


# ---- snapshots -------------------------------------------------------------------------------


@race("POST /volume/v3/snapshots")
async def create_snapshot(g: Ground) -> Duel:
    volume = await a_volume(g)
    one = Call(g.user, "POST", f"{V}/snapshots", {"snapshot": {"volume_id": id_of(volume)}})
    return Duel(one, gone=gone(g, volume), winners=(2,), refusals=LOSES)


@race("PUT /volume/v3/snapshots/{snapshot_id}")
async def change_snapshot(g: Ground) -> Duel:
    return change(g, await a_snapshot(g), "snapshot", {"name": "one"}, {"description": "two"})


@race("DELETE /volume/v3/snapshots/{snapshot_id}")
async def delete_snapshot(g: Ground) -> Duel:
    snapshot = await a_snapshot(g)
    copy = Call(g.user, "POST", f"{V}/volumes", {"volume": {"snapshot_id": id_of(snapshot)}})
    return Duel(gone(g, snapshot), gone=copy, winners=(1,), refusals=LOSES)


@race("POST /volume/v3/snapshots/{snapshot_id}/action os-reset_status")
async def reset_snapshot(g: Ground) -> Duel:
    return acting(g, await a_snapshot(g), {"os-reset_status": {"status": "error"}}, (2,), g.admin)


@race("POST /volume/v3/snapshots/{snapshot_id}/action os-force_delete")
async def force_delete_snapshot(g: Ground) -> Duel:
    return acting(g, await a_snapshot(g), {"os-force_delete": None}, (1, 2), g.admin)


# ---- attachments -----------------------------------------------------------------------------


@race("POST /volume/v3/attachments")
async def create_attachment(g: Ground) -> Duel:
    volume = await a_volume(g)
    one = Call(g.user, "POST", f"{V}/attachments", {"attachment": {"volume_uuid": id_of(volume)}})
    return Duel(one, gone=gone(g, volume), winners=(1,), refusals=LOSES)


@race("PUT /volume/v3/attachments/{attachment_id}")
async def change_attachment(g: Ground) -> Duel:
    attachment = await an_attachment(g)
    one = Call(g.user, "PUT", attachment, {"attachment": {"connector": {"host": "h"}}})
    return Duel(one, gone=gone(g, attachment), winners=(2,))


@race("DELETE /volume/v3/attachments/{attachment_id}")
async def delete_attachment(g: Ground) -> Duel:
    return Duel(gone(g, await an_attachment(g)), winners=(1,))


@race("POST /volume/v3/attachments/{attachment_id}/action os-complete")
async def complete_attachment(g: Ground) -> Duel:
    return acting(g, await an_attachment(g, connector={"host": "h"}), {"os-complete": None})


# ---- types -----------------------------------------------------------------------------------


@race("POST /volume/v3/types")
async def create_type(g: Ground) -> Duel:
    one = Call(g.admin, "POST", f"{V}/types", {"volume_type": {"name": name("type")}})
    return Duel(one, gone=Call(g.admin, "DELETE", await a_type(g)), winners=(1,))


@race("PUT /volume/v3/types/{type_id}")
async def change_type(g: Ground) -> Duel:
    return change(g, await a_type(g), "volume_type", {"name": name("type")}, {"description": "two"}, g.admin)


@race("DELETE /volume/v3/types/{type_id}")
async def delete_type(g: Ground) -> Duel:
    """Against a volume that is to have it."""
    kind = await a_type(g)
    use = Call(g.user, "POST", f"{V}/volumes", {"volume": {"size": 1, "volume_type": id_of(kind)}})
    return Duel(Call(g.admin, "DELETE", kind), gone=use, winners=(1,), refusals=LOSES)


@race("POST /volume/v3/types/{type_id}/extra_specs")
async def add_specs(g: Ground) -> Duel:
    kind = await a_type(g)
    at = kind + "/extra_specs"
    one, two = (Call(g.admin, "POST", at, {"extra_specs": {key: "1"}}) for key in ("one", "two"))
    kept = {"extra_specs": {"one": "1", "two": "1"}}
    return Duel(one, two, gone=Call(g.admin, "DELETE", kind), winners=(2,), keeps=(g.admin, at, kept))


@race("PUT /volume/v3/types/{type_id}/extra_specs/{spec_key}")
async def change_spec(g: Ground) -> Duel:
    kind = await a_type(g)
    at = kind + "/extra_specs"
    one, two = (Call(g.admin, "PUT", f"{at}/{key}", {key: "1"}) for key in ("one", "two"))
    kept = {"extra_specs": {"one": "1", "two": "1"}}
    return Duel(one, two, gone=Call(g.admin, "DELETE", kind), winners=(2,), keeps=(g.admin, at, kept))


@race("DELETE /volume/v3/types/{type_id}/extra_specs/{spec_key}")
async def delete_spec(g: Ground) -> Duel:
    kind = await a_type(g, extra_specs={"raven": "1"})
    return Duel(Call(g.admin, "DELETE", kind + "/extra_specs/raven"), gone=Call(g.admin, "DELETE", kind), winners=(1,))


# ---- quota and services ----------------------------------------------------------------------


async def a_quota(g: Ground) -> str:
    return f"{V}/os-quota-sets/{(await g.cloud.project()).project_id}"


@race("PUT /volume/v3/os-quota-sets/{project_id}")
async def change_quota(g: Ground) -> Duel:
    path = await a_quota(g)
    one, two = (Call(g.admin, "PUT", path, {"quota_set": {what: 7}}) for what in ("volumes", "snapshots"))
    kept = {"quota_set": {"volumes": 7, "snapshots": 7}}
    return Duel(one, two, gone=Call(g.admin, "DELETE", path), winners=(2,), keeps=(g.admin, path, kept))


@race("DELETE /volume/v3/os-quota-sets/{project_id}")
async def delete_quota(g: Ground) -> Duel:
    path = await a_quota(g)
    change = Call(g.admin, "PUT", path, {"quota_set": {"volumes": 7}})
    return Duel(Call(g.admin, "DELETE", path), gone=change, winners=(2,))


@race("PUT /volume/v3/os-quota-class-sets/{class_name}")
async def change_class(g: Ground) -> Duel:
    path = f"{V}/os-quota-class-sets/default"
    one, two = (Call(g.admin, "PUT", path, {"quota_class_set": {what: -1}}) for what in ("volumes", "snapshots"))
    kept = {"quota_class_set": {"volumes": -1, "snapshots": -1}}
    return Duel(one, two, gone=two, winners=(2,), keeps=(g.admin, path, kept))


async def switched(g: Ground, how: str, **more: str) -> Duel:
    """A host of its own, against being enabled: the others must be fit for the races that follow."""
    called = name("pool")
    offered = VolumePool(backend="fake", total_bytes=0, free_bytes=0)
    await internal(g.cloud.core).write(pools.keep, called, called, offered)
    named = {"host": called, "binary": "cinder-volume"}
    enable = Call(g.admin, "PUT", f"{V}/os-services/enable", named)
    return Duel(Call(g.admin, "PUT", f"{V}/os-services/{how}", named | more), gone=enable, winners=(2,))


@race("PUT /volume/v3/os-services/enable")
async def enable(g: Ground) -> Duel:
    return await switched(g, "enable")


@race("PUT /volume/v3/os-services/disable")
async def disable(g: Ground) -> Duel:
    return await switched(g, "disable")


@race("PUT /volume/v3/os-services/disable-log-reason")
async def disable_with_reason(g: Ground) -> Duel:
    return await switched(g, "disable-log-reason", disabled_reason="race")


@race("DELETE /volume/v3/messages/{message_id}")
async def delete_message(g: Ground) -> Duel:
    """Of a snapshot that went wrong, which may be deleted itself."""
    snapshot = await a_snapshot(g)
    wrong = SNAPSHOTS.update().where(SNAPSHOTS.c.id == id_of(snapshot)).values(fault="Its host is on fire.")
    await internal(g.cloud.core).write(lambda tx, ctx: tx.execute(wrong))
    path = f"{V}/messages/{id_of(snapshot)}"
    return Duel(Call(g.user, "DELETE", path, headers=LATEST), gone=gone(g, snapshot), winners=(1,), refusals=LOSES)
