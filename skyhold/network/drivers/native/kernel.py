# SPDX-License-Identifier: Apache-2.0
"""Brings the kernel to what the plan says, by difference or, after damage, by comparison.

What the plan says is in plan.py and when to act in engine.py. Order is safety: links go before
their rules, and rules come before their links, so that no tap is ever in a bridge unfiltered.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable, Iterator

from skyhold.network.drivers.native import names, netns, nft
from skyhold.network.drivers.native.announce import announce
from skyhold.network.drivers.native.links import SeenLink
from skyhold.network.drivers.native.nft import Fragment, NftError
from skyhold.network.drivers.native.plan import Link, ObjectKey, Piece, union
from skyhold.network.drivers.native.space import Space, prepare
from skyhold.network.drivers.native.tap import create as create_tap

_OPEN_SHELLS = 4


class Kernel:
    """One cloud's share of this machine's kernel; for one thread at a time."""

    def __init__(self, cloud: names.CloudNames, generations: dict[str, int]) -> None:
        self.cloud = cloud
        self.held: dict[ObjectKey, Piece] = {}
        self.forwarding_was: dict[str, str] = {}
        self._generations = generations
        self._spaces: dict[str, Space] = {}
        self._shells: list[str] = []

    def close(self) -> None:
        for space in self._spaces.values():
            space.close()
        self._spaces.clear()
        self._shells.clear()

    def space(self, name: str) -> Space:
        """The namespace, made or adopted if need be."""
        if name not in self._spaces:
            fresh = name != names.ROOT and name not in netns.names()
            if fresh:
                netns.create(name)
            self._spaces[name] = Space(name, None if fresh else self._generations.get(name))
            if name != names.ROOT:
                prepare(self._spaces[name], self.cloud)
        return self._spaces[name]

    def generations(self) -> dict[str, int]:
        """What to remember, so that a restarted engine knows its own rules from altered ones."""
        found = {name: space.generation for name, space in self._spaces.items() if name}
        return {name: number for name, number in found.items() if number is not None}

    def apply(self, wanted: dict[ObjectKey, Piece]) -> list[str]:
        """Replace the pieces of these keys; problems, one line each. Raises NftError untouched."""
        old = union(self.held[key] for key in wanted if key in self.held)
        new = union(wanted.values())
        for name in sorted(new.spaces | {space for space, _ in new.rules}):
            self.space(name)
        self._remove_links(old, new)
        before = {key: self.held.get(key, Piece()) for key in wanted}
        self._remember(wanted)
        try:
            self._change_rules(old, new)
        except NftError:
            self._remember(before)
            raise
        problems = self._make_links(_different_links(old, new))
        problems += self._change_addresses(old.addresses - new.addresses, new.addresses - old.addresses)
        problems += self._change_routes(old.routes - new.routes, new.routes - old.routes)
        for name in old.spaces - new.spaces:
            self._drop_space(name)
        return [*problems, *new.problems]

    def replace_rules(self, space_name: str) -> None:
        """Write all rules of a namespace anew in one transaction; connections survive."""
        fragments = [part for held in self.held.values() for where, part in held.rules if where == space_name]
        self._run(space_name, nft.whole(fragments))

    def intact(self) -> bool:
        """A cheap look: nobody else changed our rules, and every link is there."""
        return all(self._rules_intact(name) for name in self._wanted_spaces()) and not self._absent_links()

    def compare(self, repair: bool) -> tuple[list[str], list[str], list[str]]:
        """(missing, extra, changed), found by asking the kernel; put right if `repair`."""
        missing: list[str] = []
        extra: list[str] = []
        changed: list[str] = []
        self._compare_spaces(missing, extra, repair)
        present = [name for name in self._wanted_spaces() if name == names.ROOT or name in netns.names()]
        self._compare_rules(present, changed, repair)
        self._compare_links(present, missing, extra, changed, repair)
        self._compare_addresses(present, missing, extra, repair)
        self._compare_routes(present, missing, extra, repair)
        return missing, extra, changed

    def destroy(self) -> None:
        """Remove everything that carries the cloud's mark; safe to repeat."""
        if self.cloud.plane in netns.names():
            links = self.space(self.cloud.plane).links
            links.remove([link.index for name, link in links.seen().items() if name != "lo"])
        for name in netns.names():
            if self.cloud.owns(name):
                self._drop_space(name)
        self._clear_root()
        self.held.clear()
        self.close()

    def _remember(self, wanted: dict[ObjectKey, Piece]) -> None:
        for key, piece in wanted.items():
            if piece == Piece():
                self.held.pop(key, None)
            else:
                self.held[key] = piece

    def _wanted_spaces(self) -> list[str]:
        found = {name for piece in self.held.values() for name in piece.spaces}
        return sorted(found | ({names.ROOT} if self._uses_root() else set()))

    def _uses_root(self) -> bool:
        return any(link.space == names.ROOT for piece in self.held.values() for link in piece.links)

    # Rules

    def _change_rules(self, old: Piece, new: Piece) -> None:
        gone = old.spaces - new.spaces
        for name in sorted({where for where, _ in (*old.rules, *new.rules)} - gone):
            if name != names.ROOT and name not in netns.names():
                continue
            before, after = _rules_in(old, name), _rules_in(new, name)
            if name == names.ROOT:
                self._change_root_rules(before, after)
            else:
                self._change_space_rules(name, before, after)

    def _change_space_rules(self, name: str, before: Fragment, after: Fragment) -> None:
        statements = nft.difference(before, after)
        if self._rules_intact(name):
            self._run(name, statements)
        else:
            self.replace_rules(name)

    def _change_root_rules(self, before: Fragment, after: Fragment) -> None:
        if before == after:
            return
        statements = nft.whole([after]) if after.chains else self._root_table_away()
        self._run(names.ROOT, statements)
        if after.chains:
            self.space(names.ROOT).remember_table(self.cloud.root_table)

    def _root_table_away(self) -> list[str]:
        return [f"add table inet {self.cloud.root_table}", f"delete table inet {self.cloud.root_table}"]

    def _run(self, name: str, statements: list[str]) -> None:
        space = self.space(name)
        if statements:
            self._keep_shell(name)
            space.shell.run(statements)
        space.generation = space.netfilter.generation()

    def _keep_shell(self, name: str) -> None:
        """Only the last few namespaces keep their nft process."""
        if name in self._shells:
            self._shells.remove(name)
        self._shells.append(name)
        while len(self._shells) > _OPEN_SHELLS:
            oldest = next(one for one in self._shells if one != self.cloud.plane)
            self._shells.remove(oldest)
            if oldest in self._spaces:
                self._spaces[oldest].shell.close()

    def _rules_intact(self, name: str) -> bool:
        if name != names.ROOT and name not in netns.names():
            return False
        space = self.space(name)
        if name == names.ROOT:
            return space.table_intact(self.cloud.root_table)
        return space.generation is not None and space.generation == space.netfilter.generation()

    def _compare_rules(self, present: list[str], changed: list[str], repair: bool) -> None:
        for name in present:
            if self._rules_intact(name):
                continue
            changed.append(f"nft rules of {name or 'the machine'}")
            if repair:
                self.replace_rules(name)
                if name == names.ROOT:
                    self.space(name).remember_table(self.cloud.root_table)

    # Links

    def _links(self) -> Iterator[Link]:
        return (link for piece in self.held.values() for link in piece.links)

    def _absent_links(self) -> list[Link]:
        seen = {name: self.space(name).link_names() for name in self._wanted_spaces()}
        return [link for link in self._links() if link.name not in seen.get(link.space, ())]

    def _remove_links(self, old: Piece, new: Piece) -> None:
        kept = {(link.space, link.name) for link in new.links}
        gone: dict[str, list[int]] = {}
        for link in old.links:
            if (link.space, link.name) in kept or link.kind == "far" or not self._has(link.space):
                continue
            seen = self.space(link.space).links.one(link.name)
            if seen:
                gone.setdefault(link.space, []).append(seen.index)
        for where, indexes in gone.items():
            self.space(where).links.remove(indexes)

    def _has(self, space_name: str) -> bool:
        return space_name == names.ROOT or space_name in self._spaces or space_name in netns.names()

    def _make_links(self, links: Iterable[Link]) -> list[str]:
        order = {"bridge": 0, "tap": 1, "veth": 2, "far": 3}
        problems = []
        for link in sorted(links, key=lambda one: order[one.kind]):
            try:
                self._make_link(link)
            except OSError as error:
                problems.append(f"link {link.name} in {link.space or 'the machine'}: {error.strerror}")
        return problems

    def _make_link(self, link: Link) -> None:
        space = self.space(link.space)
        seen = space.links.one(link.name)
        if seen and link.peer and self.space(link.peer[0]).links.one(link.peer[1]) is None:
            # The other end went with a namespace that somebody removed.
            space.links.remove([seen.index])
            seen = None
        if seen is None:
            self._create(space, link)
            seen = space.links.one(link.name)
        if seen is None:
            raise FileNotFoundError(2, "its other end is missing")
        self._adjust(space, link, seen)

    def _create(self, space: Space, link: Link) -> None:
        if link.kind == "bridge":
            space.links.add_bridge(link.name, link.mtu)
        elif link.kind == "tap":
            with netns.inside(space.fd):
                create_tap(link.name)
        elif link.kind == "veth" and link.peer:
            space.links.add_veth(link.name, link.peer[1], self.space(link.peer[0]).fd, link.mtu)

    def _adjust(self, space: Space, link: Link, seen: SeenLink) -> None:
        master = self._master_index(space, link)
        wrong = _differences(link, seen, master)
        if "mac" in wrong and seen.up:
            space.links.change(seen.index, up=False)
        if wrong:
            space.links.change(
                seen.index,
                up=link.up,
                mtu=link.mtu if "mtu" in wrong else None,
                mac=link.mac if "mac" in wrong else None,
                master=master if "master" in wrong else None,
                alias=f"{self.cloud.plane}" if link.space == names.ROOT else None,
            )
        if link.fixed_mac and wrong:
            space.links.pin(seen.index, link.fixed_mac)

    def _master_index(self, space: Space, link: Link) -> int:
        master = space.links.one(link.master) if link.master else None
        if link.master and master is None:
            raise FileNotFoundError(2, f"the bridge {link.master} is missing")
        return master.index if master else 0

    def _let_through(self, root: Space, version: int) -> None:
        """The machine must forward between the external networks and its own."""
        path = "net/ipv4/ip_forward" if version == 4 else "net/ipv6/conf/all/forwarding"
        with netns.inside(root.fd):
            if netns.read_sysctl(path) != "0":
                return
            if version == 6:
                self._keep_listening(root)
            self.forwarding_was[path] = "0"
            netns.sysctl(path, 1)

    def _keep_listening(self, root: Space) -> None:
        """A machine that forwards IPv6 forgets its own default route, unless told to go on listening."""
        for name in root.links.seen():
            accept = f"net/ipv6/conf/{name}/accept_ra"
            with contextlib.suppress(OSError):
                if netns.read_sysctl(accept) == "1":
                    self.forwarding_was[accept] = "1"
                    netns.sysctl(accept, 2)

    def _compare_links(
        self, present: list[str], missing: list[str], extra: list[str], changed: list[str], repair: bool
    ) -> None:
        wanted = {(link.space, link.name): link for link in self._links()}
        for name in present:
            space = self.space(name)
            for link_name, seen in space.links.seen().items():
                if (name, link_name) in wanted or not self._ours(name, link_name):
                    continue
                extra.append(f"link {link_name} in {name or 'the machine'}")
                if repair:
                    space.links.remove([seen.index])
        wrong = {key for key, link in wanted.items() if self._is_wrong(link, present, missing, changed)}
        owners = {link.peer: key for key, link in wanted.items() if link.peer}
        if repair:
            self._make_links(
                link for key, link in wanted.items() if {key, link.peer, owners.get(key)} & wrong
            )

    def _is_wrong(self, link: Link, present: list[str], missing: list[str], changed: list[str]) -> bool:
        seen = self.space(link.space).links.one(link.name) if link.space in present else None
        if seen is None:
            missing.append(f"link {link.name} in {link.space or 'the machine'}")
            return True
        try:
            wrong = _differences(link, seen, self._master_index(self.space(link.space), link))
        except FileNotFoundError:
            wrong = ["master"]
        if wrong:
            changed.append(f"link {link.name} in {link.space or 'the machine'}: {', '.join(wrong)}")
        return bool(wrong)

    def _ours(self, space_name: str, link_name: str) -> bool:
        if space_name == names.ROOT:
            return link_name.startswith(self.cloud.root_prefix)
        return link_name != "lo"

    # Namespaces

    def _compare_spaces(self, missing: list[str], extra: list[str], repair: bool) -> None:
        wanted, present = set(self._wanted_spaces()), netns.names()
        for name in sorted(wanted - {names.ROOT} - set(present)):
            missing.append(f"namespace {name}")
            if repair:
                self._forget_space(name)
                self.space(name)
        for name in present:
            if self.cloud.owns(name) and name not in wanted:
                extra.append(f"namespace {name}")
                if repair:
                    self._drop_space(name)

    def _drop_space(self, name: str) -> None:
        self._forget_space(name)
        if name in netns.names():
            netns.remove(name)

    def _forget_space(self, name: str) -> None:
        space = self._spaces.pop(name, None)
        if name in self._shells:
            self._shells.remove(name)
        if space:
            space.close()

    def _clear_root(self) -> None:
        root = self.space(names.ROOT)
        for name, link in root.links.seen().items():
            if name.startswith(self.cloud.root_prefix):
                root.links.remove([link.index])
        self._run(names.ROOT, self._root_table_away())
        others = [name for name in root.links.seen() if names.ROOT_LEG.fullmatch(name)]
        with netns.inside(root.fd):
            # Another cloud on this machine may need by now what this one switched on.
            for path, value in () if others else self.forwarding_was.items():
                with contextlib.suppress(OSError):
                    netns.sysctl(path, value)
        self.forwarding_was.clear()

    # Addresses and routes

    def _change_addresses(
        self, gone: Iterable[tuple[str, str, str]], come: Iterable[tuple[str, str, str]]
    ) -> list[str]:
        problems: list[str] = []
        for where, device, cidr in sorted(gone):
            seen = self.space(where).links.one(device) if self._has(where) else None
            if seen:
                with contextlib.suppress(OSError):
                    self.space(where).links.remove_address(seen.index, cidr)
        for where, device, cidr in sorted(come):
            problems += self._add_address(where, device, cidr)
        return problems

    def _add_address(self, where: str, device: str, cidr: str) -> list[str]:
        space = self.space(where)
        seen = space.links.one(device)
        if seen is None:
            return [f"address {cidr}: the link {device} isn't there"]
        if where == names.ROOT and (other := _overlap(space, seen.index, cidr)):
            return [f"external subnet of {cidr} overlaps this machine's route {other}: choose another range"]
        if where == names.ROOT:
            self._let_through(space, ipaddress.ip_interface(cidr).version)
        try:
            space.links.add_address(seen.index, cidr)
        except OSError as error:
            return [f"address {cidr} on {device}: {error.strerror}"]
        if device.startswith(("qg-", "qr-")):
            announce(space.packet(), device, seen.mac, cidr)
            self._forget_neighbour(cidr)
        return []

    def _forget_neighbour(self, cidr: str) -> None:
        """The machine would believe its old neighbour for a second whatever is announced."""
        root = self.space(names.ROOT)
        for name, link in root.links.seen().items() if self._uses_root() else ():
            if name.startswith(self.cloud.root_prefix):
                with contextlib.suppress(OSError):
                    root.links.forget_neighbour(link.index, cidr.partition("/")[0])

    def _change_routes(
        self,
        gone: Iterable[tuple[str, str, str | None, str]],
        come: Iterable[tuple[str, str, str | None, str]],
    ) -> list[str]:
        problems = []
        for where, destination, via, device in sorted(gone, key=str):
            seen = self.space(where).links.one(device) if self._has(where) else None
            if seen:
                with contextlib.suppress(OSError):
                    self.space(where).links.remove_route(destination, via, seen.index)
        for where, destination, via, device in sorted(come, key=str):
            seen = self.space(where).links.one(device)
            try:
                self.space(where).links.add_route(destination, via, seen.index if seen else 0)
            except OSError as error:
                problems.append(f"route {destination} via {via}: {error.strerror}")
        return problems

    def _compare_addresses(
        self, present: list[str], missing: list[str], extra: list[str], repair: bool
    ) -> None:
        wanted = union(self.held.values()).addresses
        for name in present:
            space = self.space(name)
            devices = {link.index: device for device, link in space.links.seen().items()}
            seen = {
                (name, devices[index], cidr)
                for index, cidr in space.links.addresses()
                if index in devices and self._ours(name, devices[index])
            }
            here = {(where, device, _canonical(cidr)) for where, device, cidr in wanted if where == name}
            missing += [f"address {one[2]} on {one[1]}" for one in sorted(here - seen)]
            extra += [f"address {one[2]} on {one[1]}" for one in sorted(seen - here)]
            if repair:
                self._change_addresses(seen - here, here - seen)

    def _compare_routes(self, present: list[str], missing: list[str], extra: list[str], repair: bool) -> None:
        wanted = union(self.held.values()).routes
        for name in present:
            if name == names.ROOT:
                continue
            space = self.space(name)
            devices = {link.index: device for device, link in space.links.seen().items()}
            seen = {(name, dst, via, devices.get(index, "")) for dst, via, index in space.links.routes()}
            here = {route for route in wanted if route[0] == name}
            missing += [f"route {one[1]} via {one[2]}" for one in sorted(here - seen, key=str)]
            extra += [f"route {one[1]} via {one[2]}" for one in sorted(seen - here, key=str)]
            if repair:
                self._change_routes(seen - here, here - seen)


def _different_links(old: Piece, new: Piece) -> list[Link]:
    before = {(link.space, link.name): link for link in old.links}
    return [link for link in new.links if before.get((link.space, link.name)) != link]


def _rules_in(piece: Piece, space_name: str) -> Fragment:
    return nft.merged(part for where, part in piece.rules if where == space_name)


def _differences(link: Link, seen: SeenLink, master: int) -> list[str]:
    checks = {
        "mtu": link.mtu == seen.mtu,
        "mac": link.mac is None or link.mac == seen.mac,
        "master": master == seen.master,
        "up": link.up == seen.up,
    }
    return [name for name, fine in checks.items() if not fine]


def _canonical(cidr: str) -> str:
    return ipaddress.ip_interface(cidr).with_prefixlen


def _overlap(root: Space, index: int, cidr: str) -> str | None:
    network = ipaddress.ip_interface(cidr).network
    others = sorted(one for one, device in root.links.all_routes() if device != index)
    parsed = [ipaddress.ip_network(one) for one in others]
    same = (one for one in parsed if one.version == network.version and one.prefixlen)
    return next((str(one) for one in same if one.overlaps(network)), None)


__all__ = ["Kernel", "NftError"]
