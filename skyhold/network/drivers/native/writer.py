# SPDX-License-Identifier: Apache-2.0
"""What the writer's thread does: change the world, then the kernel, then cut what is outlawed.

The event loop's side is in engine.py. Everything here runs in one thread at a time and may block;
one bad object never keeps the others of its batch from being applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from skyhold.network.drivers.base import Applied, ChangeSet, Deleted, Desired, Diff, Port, Snapshot, differs
from skyhold.network.drivers.native import names, netns, tap
from skyhold.network.drivers.native.flows import Change, outlawed, suspects, translated
from skyhold.network.drivers.native.kernel import Kernel, NftError
from skyhold.network.drivers.native.plan import (
    MACHINE,
    PLANE,
    ObjectKey,
    Piece,
    World,
    all_keys,
    key_of,
    piece,
    touched,
)
from skyhold.network.drivers.native.state import Memory


@dataclass
class Batch:
    """The outcome of changes written together: an answer for each, and the keys that changed."""

    changed: set[ObjectKey] = field(default_factory=set)
    answers: list[Applied] = field(default_factory=list)

    def add_problems(self, problems: list[str]) -> None:
        if problems:
            self.answers = [
                Applied(ports_up=one.ports_up, problems=[*one.problems, *problems]) for one in self.answers
            ]


@dataclass(frozen=True)
class Repair:
    diff: Diff
    lost_ports: list[str]


class Writer:
    """The world and the kernel of one cloud."""

    def __init__(self, cloud: names.CloudNames) -> None:
        self.world = World(cloud)
        self.kernel = Kernel(cloud, {})
        self._refused: set[ObjectKey] = set()

    def adopt(self, memory: Memory) -> Diff:
        """Take over what the kernel holds, or build it: afterwards both agree with the memory."""
        self.kernel.close()
        self._refused = set(memory.refused)
        self.world = World(self.world.cloud)
        for one in memory.objects:
            self.world.put(one)
        self.world.marks = names.Numbering(self.world.marks.limit, memory.marks)
        self.world.zones = names.Numbering(self.world.zones.limit, memory.zones)
        self.kernel = Kernel(self.world.cloud, memory.generations)
        self.kernel.forwarding_was = dict(memory.forwarding_was)
        keys = [key for key in all_keys(self.world) if key not in self._refused]
        self.kernel.held = {key: self._piece(key) for key in keys}
        return self._compare(repair=True)

    def memory(self) -> Memory:
        return Memory(
            objects=list(self.world.objects.values()),
            marks=dict(self.world.marks.taken),
            zones=dict(self.world.zones.taken),
            generations=self.kernel.generations(),
            forwarding_was=dict(self.kernel.forwarding_was),
            refused=sorted(self._refused & self.world.objects.keys()),
        )

    def write(self, changes: list[ChangeSet]) -> Batch:
        """Apply the change sets in order; what is older than what is held is left out."""
        pairs: list[Change] = []
        for change in changes:
            pairs += [self._take(one) for one in change.upserts]
            pairs += [self._drop(one) for one in change.deletes]
        real = [(old, new) for old, new in pairs if old != new]
        problems = self._bring(real)
        taps = set(self.kernel.space(self.world.cloud.plane).links.seen()) if len(changes) > 20 else None
        answers = [self._answer(change, problems, taps) for change in changes]
        return Batch(changed=_with_networks(real), answers=answers)

    def reconcile(self, desired: Snapshot, dry_run: bool) -> tuple[Diff, Batch | None]:
        wanted = {key_of(one): one for one in desired.objects}
        lines = _differences(self.world.objects, wanted)
        kernel = self._compare(repair=not dry_run)
        diff = Diff(
            missing=lines.missing + kernel.missing,
            extra=lines.extra + kernel.extra,
            changed=lines.changed + kernel.changed,
        )
        if dry_run:
            return diff, None
        gone = [Deleted(kind=kind, id=one) for kind, one in self.world.objects if (kind, one) not in wanted]  # type: ignore[arg-type]
        batch = self.write([ChangeSet(upserts=desired.objects, deletes=gone)])
        again = self._refused & self.world.objects.keys()
        batch.add_problems(self._apply(again) if again else [])
        return diff, batch

    def check(self) -> Repair | None:
        """Repair damage that others did; None if there is none."""
        if self.kernel.intact():
            return None
        lost = [port.id for port in self.world.ports() if not self._has_tap(port.id)]
        return Repair(diff=self._compare(repair=True), lost_ports=lost)

    def open_tap(self, port_id: str) -> int:
        """Raises KeyError for a port that isn't wired and OSError EBUSY while another holds the tap."""
        port = self.world.objects.get(("Port", port_id))
        if not isinstance(port, Port):
            raise KeyError(port_id)
        if not self._wired(port.id):
            self._compare(repair=True)
        if not self._wired(port.id):
            raise OSError(19, f"the tap of port {port_id} can't be made")
        with netns.inside(self.kernel.space(self.world.cloud.plane).fd):
            return tap.attach(names.tap(port_id))

    def destroy(self, forwarding_was: dict[str, str]) -> None:
        self.kernel.forwarding_was |= forwarding_was
        self.kernel.destroy()
        self.world = World(self.world.cloud)

    def _take(self, wanted: Desired) -> Change:
        key = key_of(wanted)
        held = self.world.objects.get(key)
        if held is not None and wanted.revision < held.revision:
            return held, held
        self.world.put(wanted)
        return held, wanted

    def _drop(self, gone: Deleted) -> Change:
        return self.world.drop((gone.kind, gone.id)), None

    def _bring(self, changes: list[Change]) -> list[str]:
        """The kernel to the world, then the flows to the rules."""
        keys: set[ObjectKey] = set()
        for old, new in changes:
            keys |= touched(self.world, old, new)
        problems = self._apply(keys) if keys else []
        self._cut(changes)
        for old, new in changes:
            if new is None and old is not None:
                self.world.marks.forget(old.id)
                self.world.zones.forget(old.id)
        return problems

    def _apply(self, keys: set[ObjectKey]) -> list[str]:
        pieces: dict[ObjectKey, Piece] = {}
        problems = []
        for key in sorted(keys):
            try:
                pieces[key] = piece(self.world, key)
            except (ValueError, KeyError) as error:
                self._refused.add(key)
                problems.append(f"{key[0]} {key[1]}: {error}")
        try:
            problems += self.kernel.apply(pieces)
            self._refused -= pieces.keys()
            return problems
        except NftError:
            return problems + self._apply_singly(pieces)

    def _apply_singly(self, pieces: dict[ObjectKey, Piece]) -> list[str]:
        """Find the object that the kernel refuses; the others are applied."""
        problems = []
        order = {"Network": 0, "SecurityGroup": 1}
        for key in sorted(pieces, key=lambda one: (order.get(one[0], 2), one)):
            try:
                problems += self.kernel.apply({key: pieces[key]})
                self._refused.discard(key)
            except NftError as error:
                self._refused.add(key)
                problems.append(f"{key[0]} {key[1]}: {error}")
        return problems

    def _piece(self, key: ObjectKey) -> Piece:
        try:
            return piece(self.world, key)
        except (ValueError, KeyError):
            return Piece()

    def _cut(self, changes: Iterable[Change]) -> None:
        found = suspects(self.world, changes)
        if found.by_network:
            plane = self.kernel.space(self.world.cloud.plane)
            for flow in outlawed(self.world, plane.flows(), found.by_network):
                plane.netfilter.cut(flow)
        for router_id, addresses in found.by_router.items():
            name = self.world.cloud.router(router_id)
            if name not in netns.names():
                continue
            router = self.kernel.space(name)
            for flow in translated(router.flows(), addresses):
                router.netfilter.cut(flow)

    def _compare(self, repair: bool) -> Diff:
        missing, extra, changed = self.kernel.compare(repair)
        return Diff(missing=missing, extra=extra, changed=changed)

    def _answer(self, change: ChangeSet, problems: list[str], taps: set[str] | None) -> Applied:
        """`taps` are the links that are there, None to ask for each."""
        ports = [one for one in change.upserts if isinstance(one, Port)]
        up = [one.id for one in ports if one.admin_up and self._wired(one.id, taps)]
        return Applied(ports_up=up, problems=list(problems))

    def _wired(self, port_id: str, taps: set[str] | None = None) -> bool:
        """Its rules were accepted as they are now and its tap is there."""
        key = ("Port", port_id)
        if key in self._refused or key not in self.kernel.held:
            return False
        return self._has_tap(port_id) if taps is None else names.tap(port_id) in taps

    def _has_tap(self, port_id: str) -> bool:
        plane = self.world.cloud.plane
        return plane in netns.names() and self.kernel.space(plane).links.one(names.tap(port_id)) is not None


def _with_networks(changes: list[Change]) -> set[ObjectKey]:
    found: set[ObjectKey] = set()
    for one in (one for pair in changes for one in pair if one is not None):
        found.add(key_of(one))
        network_id = getattr(one, "network_id", None)
        if network_id:
            found.add(("Network", network_id))
    return found


def _differences(held: dict[ObjectKey, Desired], wanted: dict[ObjectKey, Desired]) -> Diff:
    def line(key: ObjectKey) -> str:
        return f"{key[0]} {key[1]}"

    changed = [key for key, one in wanted.items() if key in held and differs(held[key], one)]
    return Diff(
        missing=[line(key) for key in wanted if key not in held],
        extra=[line(key) for key in held if key not in wanted],
        changed=[line(key) for key in changed if wanted[key].revision >= held[key].revision],
    )


__all__ = ["MACHINE", "PLANE", "Batch", "Repair", "Writer"]
