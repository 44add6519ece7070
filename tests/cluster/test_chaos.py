# SPDX-License-Identifier: Apache-2.0
"""Servers are created, used and deleted while control plane and agent are killed or paused at random points.

The cloud is cloud.py; what must hold at rest is its `findings`. The seed is printed and can be given as
SKYHOLD_TEST_CHAOS_SEED; `--long`, or SKYHOLD_TEST_CHAOS_POINTS, asks for more points than the usual.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.volume.tables import ATTACHMENTS, VOLUMES
from tests.cluster.cloud import QUIET_S, Processes

pytestmark = pytest.mark.cluster

POINTS, POINTS_LONG = 60, 400
MOST_SERVERS = 12
THOUSAND = 1000
BATCH = 50
DELETE_S = 90.0
AIM_S = 0.3
MOST_VOLUMES = 8
ON_VOLUMES = 0.4
"""How much of what users do is about volumes."""
C, V = "/compute/v2.1", "/volume/v3"


def points(config: pytest.Config) -> int:
    return int(os.environ.get("SKYHOLD_TEST_CHAOS_POINTS", 0)) or (POINTS_LONG if config.getoption("long") else POINTS)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    made = Processes(tmp_path_factory.mktemp("chaos"))
    lift_limits(made)
    yield made
    made.close()


def lift_limits(cloud: Processes) -> None:
    projects = cloud.call("GET", "/identity/v3/projects?name=demo", admin=True)[1]["projects"]
    wide = {"quota_set": dict.fromkeys(("instances", "cores", "ram"), -1)}
    assert cloud.call("PUT", f"{C}/os-quota-sets/{projects[0]['id']}", wide, admin=True)[0] == 200
    wide = {"quota_set": dict.fromkeys(("volumes", "snapshots", "gigabytes"), -1)}
    assert cloud.call("PUT", f"{V}/os-quota-sets/{projects[0]['id']}", wide, admin=True)[0] == 200
    wide = {"quota": {"port": -1}}
    assert cloud.call("PUT", f"/network/v2.0/quotas/{projects[0]['id']}", wide, admin=True)[0] == 200


class Chaos:
    """One run: what it does is drawn from the seed, what it met is counted."""

    def __init__(self, cloud: Processes, seed: int) -> None:
        self.cloud, self.seed, self.random = cloud, seed, random.Random(seed)
        self.image = cloud.wanted("/image/v2/images?name=tiny", "images")
        self.flavor = cloud.wanted(f"{C}/flavors", "flavors")
        self.network = cloud.wanted("/network/v2.0/networks?name=private", "networks")
        self.did: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.wrong: list[tuple[str, str, int, Any]] = []
        self.hits = 0
        self.slowest_s = 0.0

    # ---- what users do ----------------------------------------------------------------------

    def wish(self, count: int = 1) -> dict[str, Any]:
        return {"server": {
            "name": f"chaos-{self.random.randrange(10**9)}", "imageRef": self.image, "flavorRef": self.flavor,
            "networks": [{"uuid": self.network}], "min_count": count, "max_count": count,
        }}

    def deed(self) -> tuple[str, str, str, Any]:
        """(name, method, path, body) of something a user may want now."""
        if self.random.random() < ON_VOLUMES and (found := self.on_volumes()) is not None:
            return found
        servers = self.cloud.users_servers()
        verb = self.random.choice(["create", "create", "reboot", "image", "stop", "start", "delete", "delete"])
        if len(servers) < 3 or (verb == "create" and len(servers) < MOST_SERVERS):
            return "create", "POST", f"{C}/servers", self.wish(self.random.choice([1, 1, 3]))
        path = f"{C}/servers/{self.random.choice(servers).id}"
        if verb in ("create", "delete"):
            return "delete", "DELETE", path, None
        body = {
            "reboot": {"reboot": {"type": self.random.choice(["SOFT", "HARD"])}}, "stop": {"os-stop": None},
            "start": {"os-start": None}, "image": {"createImage": {"name": "chaos"}},
        }[verb]
        return verb, "POST", path + "/action", body

    def on_volumes(self) -> tuple[str, str, str, Any] | None:
        """The like of a volume, or of a server and a volume."""
        volumes = self.cloud.ask(sa.select(VOLUMES.c.id))
        verb = self.random.choice(["make", "snap", "copy", "grow", "attach", "detach", "drop"])
        if len(volumes) < 2 or (verb == "make" and len(volumes) < MOST_VOLUMES):
            return "make volume", "POST", f"{V}/volumes", {"volume": {"size": 1, "name": "chaos"}}
        volume = self.random.choice(volumes).id
        servers = self.cloud.users_servers()
        if verb == "attach" and servers:
            path = f"{C}/servers/{self.random.choice(servers).id}/os-volume_attachments"
            return "attach volume", "POST", path, {"volumeAttachment": {"volumeId": volume}}
        if verb == "detach" and (held := self.cloud.ask(sa.select(ATTACHMENTS))):
            one = self.random.choice(held)
            path = f"{C}/servers/{one.server_id}/os-volume_attachments/{one.volume_id}"
            return "detach volume", "DELETE", path, None
        return {
            "snap": ("make snapshot", "POST", f"{V}/snapshots", {"snapshot": {"volume_id": volume}}),
            "copy": ("copy volume", "POST", f"{V}/volumes", {"volume": {"source_volid": volume, "name": "chaos"}}),
            "grow": ("grow volume", "POST", f"{V}/volumes/{volume}/action", {"os-extend": {"new_size": 2}}),
            "drop": ("drop volume", "DELETE", f"{V}/volumes/{volume}?cascade=true", None),
        }.get(verb)

    def begin(self, deeds: int) -> list[threading.Thread]:
        threads = []
        for _ in range(deeds):
            verb, method, path, body = self.deed()
            self.did[verb] += 1
            threads.append(threading.Thread(target=self.do, args=(method, path, body)))
        for thread in threads:
            thread.start()
        return threads

    def do(self, method: str, path: str, body: Any) -> None:
        status, answer = self.cloud.call(method, path, body)
        self.answers[status] += 1
        if status >= 500:
            # In a thread of its own nobody would hear an assertion: `rest` makes it.
            self.wrong.append((method, path, status, answer))

    # ---- what befalls them --------------------------------------------------------------------

    def aim(self, longest_s: float = 0.012) -> None:
        """Until a saga is under way, and then a few moments more or none."""
        end = time.monotonic() + AIM_S
        while not self.cloud.steps() and time.monotonic() < end:
            pass
        time.sleep(longest_s * self.random.choice([0, 0, 0.1, 0.25, 0.5, 1]))

    def strike(self) -> None:
        victim = self.random.choice(["serve", "host"])
        deadly = self.random.random() < 0.5
        for step in self.cloud.steps() or ["nothing under way"]:
            self.met[step] += 1
        self.cloud.signal(victim, signal.SIGKILL if deadly else signal.SIGSTOP)
        self.did[("kill " if deadly else "pause ") + victim] += 1
        self.hits += 1
        if deadly:
            self.cloud.up()
        else:
            time.sleep(self.random.choice([0.1, 0.3, 1.0]))
            self.cloud.signal(victim, signal.SIGCONT)

    def point(self) -> None:
        threads = self.begin(self.random.choice([1, 2, 3, 4]))
        self.aim()
        self.strike()
        for thread in threads:
            thread.join()
        self.rest()

    def rest(self) -> None:
        assert not self.wrong, f"{self.wrong}\n{self.summary()}"
        try:
            self.slowest_s = max(self.slowest_s, self.cloud.rest())
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.summary()}") from None

    def delete_some(self, servers: list[Any]) -> None:
        for row in servers:
            self.do("DELETE", f"{C}/servers/{row.id}", None)

    def delete_all(self) -> None:
        """Delete works, whatever happened to them; and then nothing is left."""
        end = time.monotonic() + DELETE_S
        while servers := self.cloud.users_servers():
            assert time.monotonic() < end, f"these stay: {[(row.id, row.state, row.task) for row in servers]}"
            for row in servers:
                assert self.cloud.call("DELETE", f"{C}/servers/{row.id}")[0] in (204, 404)
            time.sleep(0.1)
        self.drop_volumes(end)
        self.rest()
        assert len(self.cloud.guests()) == 1, "only the guest of `first`"
        self.nothing_is_found()

    def drop_volumes(self, end: float) -> None:
        while volumes := self.cloud.ask(sa.select(VOLUMES.c.id, VOLUMES.c.state)):
            assert time.monotonic() < end, f"these stay: {[(row.id, row.state) for row in volumes]}"
            for row in volumes:
                assert self.cloud.call("DELETE", f"{V}/volumes/{row.id}?cascade=true")[0] in (202, 400, 404)
            time.sleep(0.1)

    def nothing_is_found(self) -> None:
        """By the operator's audit, as soon as what was done is at rest."""
        end = time.monotonic() + QUIET_S
        while (told := self.cloud.skyhold("admin", "audit")).returncode != 0:
            assert time.monotonic() < end, f"{told.stdout}\n{told.stderr}\n{self.summary()}"
            time.sleep(0.2)

    def drop_images(self) -> None:
        for image in self.cloud.call("GET", "/image/v2/images?name=chaos")[1]["images"]:
            assert self.cloud.call("DELETE", f"/image/v2/images/{image['id']}")[0] in (204, 404)

    def summary(self) -> str:
        return (
            f"chaos: seed {self.seed}, {self.hits} points; did {dict(sorted(self.did.items()))}; "
            f"met {dict(sorted(self.met.items()))}; answers {dict(sorted(self.answers.items()))}; "
            f"at rest within {self.slowest_s:.1f} s (allowed {QUIET_S:g})"
        )


@pytest.fixture(scope="module")
def chaos(running: Processes) -> Chaos:
    return Chaos(running, int(os.environ.get("SKYHOLD_TEST_CHAOS_SEED", 0)) or random.randrange(1, 2**31))


def test_nothing_sticks_and_nothing_leaks(
    chaos: Chaos, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(points(request.config)):
        chaos.point()
        if n % 20 == 19:
            chaos.delete_all()
            chaos.drop_images()
    chaos.delete_all()
    with capsys.disabled():
        print("\n" + chaos.summary())
    assert 0 not in {chaos.did[each] for each in ("kill serve", "kill host", "pause serve", "pause host")}


def test_a_thousand_servers_come_and_go_while_processes_are_killed(
    chaos: Chaos, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usual run makes a tenth of them."""
    total = THOUSAND if points(request.config) >= POINTS_LONG else THOUSAND // 10
    made, start = 0, time.monotonic()
    while made < total:
        before = len(chaos.cloud.users_servers())
        threads = [
            threading.Thread(target=chaos.do, args=("POST", f"{C}/servers", chaos.wish(10))) for _ in range(BATCH // 10)
        ]
        for thread in threads:
            thread.start()
        chaos.aim(0.5)
        chaos.strike()
        for thread in threads:
            thread.join()
        chaos.rest()
        made += len(chaos.cloud.users_servers()) - before
        deletes = threading.Thread(target=chaos.delete_some, args=(chaos.cloud.users_servers(),))
        deletes.start()
        chaos.aim(0.2)
        chaos.strike()
        deletes.join()
        chaos.delete_all()
    with capsys.disabled():
        print(f"\nchaos: {made} servers made and deleted in {time.monotonic() - start:.0f} s; " + chaos.summary())
