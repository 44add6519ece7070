# SPDX-License-Identifier: Apache-2.0
"""The verbs of this host: each name with its structs and the driver method that does it.

Names and structs are declared by the services (compute, network and volume, drivers/base.py); this binds
them to one machine's drivers and to the metadata server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from skyhold.compute.drivers import base as compute
from skyhold.host.shelf import MetadataShelf
from skyhold.image.drivers.hosts import CantSend
from skyhold.network.drivers import base as network
from skyhold.volume.drivers import base as volume


@dataclass(frozen=True)
class Verb:
    """`serial` verbs about one guest or volume are done one after another; `expected` are the errors that
    are answers, not accidents."""

    question: type
    answer: type
    act: Callable[[Any], Awaitable[Any]]
    serial: bool = True
    expected: tuple[type[Exception], ...] = ()

    def subject_of(self, body: Any) -> str:
        names = ("guest_id", "volume_id", "snapshot_id")
        return next((getattr(body, name) for name in names if getattr(body, name, None)), "")


GUEST_ERRORS = (compute.NoRoom, compute.GuestFailed, CantSend)
VOLUME_ERRORS = (volume.NoRoom, volume.VolumeFailed, CantSend)


def bind(
    driver: compute.GuestDriver, engine: network.NetworkEngine, volumes: volume.VolumeDriver, shelf: MetadataShelf
) -> dict[str, Verb]:
    guests = Guests(driver, shelf)
    acts: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "guest.ensure": guests.ensure,
        "guest.absent": guests.absent,
        "guest.power": driver.power,
        "guest.reboot": driver.reboot,
        "guest.plug": driver.plug,
        "guest.unplug": driver.unplug,
        "guest.attach": driver.attach,
        "guest.detach": driver.detach,
        "guest.snapshot": driver.snapshot,
        "guest.console": driver.console,
        "guest.metadata": guests.metadata,
        "guest.list": lambda _: driver.list(),
        "net.apply": engine.apply,
        "net.reconcile": lambda want: engine.reconcile(want.snapshot, want.dry_run),
        "net.probe": lambda _: engine.probe(),
    }
    # A snapshot or a console read must not make a power change of the same guest wait.
    apart = {"guest.snapshot", "guest.console", "guest.list", "guest.metadata"}
    structs = compute.VERBS | network.VERBS
    of_guests = {
        name: Verb(
            *structs[name], act, serial=name not in apart and name.startswith("guest."), expected=GUEST_ERRORS
        )
        for name, act in acts.items()
    }
    return of_guests | bind_volumes(volumes)


def bind_volumes(driver: volume.VolumeDriver) -> dict[str, Verb]:
    acts: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "volume.ensure": driver.ensure,
        "volume.absent": lambda want: driver.absent(want.volume_id),
        "volume.upload": driver.upload,
        "volume.list": lambda _: driver.list(),
        "volume_snapshot.ensure": driver.snapshot,
        "volume_snapshot.absent": lambda want: driver.snapshot_absent(want.snapshot_id),
    }
    return {
        name: Verb(*volume.VERBS[name], act, serial=name != "volume.list", expected=VOLUME_ERRORS)
        for name, act in acts.items()
    }


class Guests:
    """The verbs that touch both a guest and what the metadata service says about it."""

    def __init__(self, driver: compute.GuestDriver, shelf: MetadataShelf) -> None:
        self._driver, self._shelf = driver, shelf

    async def ensure(self, spec: compute.GuestSpec) -> compute.GuestStatus:
        known = self._shelf.holds(spec.guest_id)
        # First what the guest will ask for: it may be quicker than the answer to this verb.
        self._shelf.put(spec.metadata)
        try:
            return await self._driver.ensure(spec)
        except GUEST_ERRORS:
            if not known:
                # Nobody may ever say that a guest is to go which never was, and user data may hold secrets.
                self._shelf.drop(spec.guest_id)
            raise

    async def absent(self, want: compute.GuestRef) -> None:
        await self._driver.absent(want.guest_id)
        self._shelf.drop(want.guest_id)

    async def metadata(self, metadata: compute.InstanceMetadata) -> None:
        # Told late, after the guest has gone: its user data must not come back to stay.
        if self._shelf.holds(metadata.server_id):
            self._shelf.put(metadata)
