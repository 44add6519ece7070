# SPDX-License-Identifier: Apache-2.0
"""nftables rulesets as values, their differences as statements, and the process that runs them.

What the rulesets say is in rules_*.py and plan.py. A `Fragment` is one object's share of a
namespace's ruleset: applying a change compares the object's old fragment with its new one, and
the recovery path writes all fragments anew in one transaction.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from skyhold.network.drivers.native import netns

Key = tuple[str, str, str]
"""Family, table and name of a chain, set or map."""

_LINE_LIMIT = 100_000
_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Chain:
    """`hook` is the base chain's declaration, "" for one that is only jumped to."""

    rules: tuple[str, ...]
    hook: str = ""


@dataclass(frozen=True)
class Fragment:
    """`sets` hold declarations such as `set type mark;`, `elements` the value of each key of a map
    (None in a plain set)."""

    sets: dict[Key, str] = field(default_factory=dict)
    chains: dict[Key, Chain] = field(default_factory=dict)
    elements: dict[tuple[Key, str], str | None] = field(default_factory=dict)


class NftError(Exception):
    """nft refused a transaction; nothing of it was applied."""


def merged(fragments: Iterable[Fragment]) -> Fragment:
    whole = Fragment()
    for fragment in fragments:
        whole.sets.update(fragment.sets)
        whole.chains.update(fragment.chains)
        whole.elements.update(fragment.elements)
    return whole


def difference(old: Fragment, new: Fragment) -> list[str]:
    """The statements that lead from one to the other, in an order the kernel accepts."""
    changed = {key: chain for key, chain in new.chains.items() if old.chains.get(key) != chain}
    dropped = [key for key in old.chains if key not in new.chains]
    gone = {key: value for key, value in old.elements.items() if not _kept(key, value, new)}
    come = {key: value for key, value in new.elements.items() if not _kept(key, value, old)}
    return [
        *(_declare_set(key, new.sets[key]) for key in new.sets if key not in old.sets),
        *(_declare_chain(key, chain) for key, chain in changed.items() if key not in old.chains),
        *(f"flush chain {_path(key)}" for key in [*changed, *dropped] if key in old.chains),
        *_elements("delete", {key: None for key in gone if key[0] in new.sets or key[0] not in old.sets}),
        *(f"add rule {_path(key)} {rule}" for key, chain in changed.items() for rule in chain.rules),
        *_elements("add", come),
        *(f"delete chain {_path(key)}" for key in dropped),
        *(_forget_set(key, old.sets[key]) for key in old.sets if key not in new.sets),
    ]


def whole(fragments: Iterable[Fragment]) -> list[str]:
    """Statements that replace the tables of these fragments, whatever they held."""
    everything = merged(fragments)
    tables = sorted({key[:2] for key in [*everything.sets, *everything.chains]})
    fresh = [
        statement
        for family, table in tables
        for statement in (
            f"add table {family} {table}",
            f"delete table {family} {table}",
            f"add table {family} {table}",
        )
    ]
    return fresh + difference(Fragment(), everything)


def _kept(key: tuple[Key, str], value: str | None, other: Fragment) -> bool:
    return key in other.elements and other.elements[key] == value


def _path(key: Key) -> str:
    return f"{key[0]} {key[1]} {key[2]}"


def _declare_set(key: Key, declaration: str) -> str:
    sort, _, spec = declaration.partition(" ")
    return f"add {sort} {_path(key)} {{ {spec} }}"


def _forget_set(key: Key, declaration: str) -> str:
    return f"delete {declaration.partition(' ')[0]} {_path(key)}"


def _declare_chain(key: Key, chain: Chain) -> str:
    return f"add chain {_path(key)}" + (f" {{ {chain.hook} }}" if chain.hook else "")


def _elements(verb: str, elements: dict[tuple[Key, str], str | None]) -> Iterator[str]:
    by_set: dict[Key, list[str]] = {}
    for (key, item), value in elements.items():
        by_set.setdefault(key, []).append(item if value is None else f"{item} : {value}")
    for key, items in by_set.items():
        for at in range(0, len(items), 1000):
            yield f"{verb} element {_path(key)} {{ {', '.join(items[at : at + 1000])} }}"


class NftShell:
    """`nft -i` kept open in one namespace: a line is one atomic transaction in under a millisecond.

    Long transactions go to a one-shot `nft -f -`. Not for two threads at once.
    """

    def __init__(self, namespace_fd: int) -> None:
        self._fd = namespace_fd
        self._process: subprocess.Popen[bytes] | None = None
        self._sequence = 0

    def run(self, statements: list[str]) -> None:
        """Apply all or nothing; raises NftError with nft's words."""
        if not statements:
            return
        if sum(map(len, statements)) > _LINE_LIMIT:
            return self._run_once(statements)
        refusal = self._say("; ".join(statements))
        if refusal:
            raise NftError(refusal)
        return None

    def read(self, *arguments: str) -> str:
        """What `nft <arguments>` prints, "" if it fails (the table doesn't exist)."""
        with netns.inside(self._fd):
            done = subprocess.run(["nft", *arguments], capture_output=True, timeout=_TIMEOUT_S)
        return done.stdout.decode() if done.returncode == 0 else ""

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def _run_once(self, statements: list[str]) -> None:
        with netns.inside(self._fd):
            done = subprocess.run(
                ["nft", "-f", "-"],
                input="\n".join(statements).encode() + b"\n",
                capture_output=True,
                timeout=_TIMEOUT_S,
            )
        if done.returncode:
            raise NftError(done.stderr.decode(errors="replace")[:2000])

    def _say(self, line: str) -> str:
        """What nft complained of. The end is known by its complaint about a set that isn't there."""
        process = self._started()
        self._sequence += 1
        marker = f"list set inet nowhere end{self._sequence}\n"
        assert process.stdin is not None
        try:
            _write(process.stdin.fileno(), f"{line}\n{marker}".encode())
            said = self._until(process, marker)
        except (OSError, TimeoutError) as error:
            self.close()
            raise NftError(f"nft went away: {error}") from error
        return said[: said.rindex("Error:", 0, said.index(marker))].strip()[:2000]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            with netns.inside(self._fd):
                self._process = subprocess.Popen(
                    ["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
        return self._process

    def _until(self, process: subprocess.Popen[bytes], marker: str) -> str:
        assert process.stdout is not None
        said, ends = "", time.monotonic() + _TIMEOUT_S
        while not (marker in said and said.endswith("^\n")):
            if not select.select([process.stdout], [], [], max(0.0, ends - time.monotonic()))[0]:
                raise TimeoutError("no answer")
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                raise OSError("it ended")
            said += chunk.decode(errors="replace")
        return said


def _write(fd: int, payload: bytes) -> None:
    while payload:
        payload = payload[os.write(fd, payload) :]
