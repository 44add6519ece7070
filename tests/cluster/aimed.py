# SPDX-License-Identifier: Apache-2.0
"""A cloud of real processes, of which one is killed or paused exactly when a saga is at a given step.

How it is struck is aim/sitecustomize.py; the cloud itself is cloud.py, and the ways to set sagas going are the users'
own, by HTTP. The points come from the registry of sagas: a new one is struck at each of its steps by its line in BEGIN.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skyhold.cmd.compose import services
from tests.cluster.cloud import QUIET_S, Processes

C, N = "/compute/v2.1", "/network/v2.0"
PAUSE_S = {"serve": 1.0, "host": 2.5}
"""A host is paused for longer than a verb waits for its answer."""
FITTING = (0, 200, 202, 204, 404, 409)
"""What a user may be told while it happens; 0 is a broken connection."""

Call = tuple[str, str, Any]


@dataclass(frozen=True)
class Point:
    saga: str
    step: str
    victim: str
    deed: str

    def __str__(self) -> str:
        return f"{self.saga}-{self.step}-{self.deed}-{self.victim}"


def points() -> list[Point]:
    sagas = [saga for service in services() for saga in service.sagas]
    return [
        Point(saga.kind, step, victim, deed)
        for saga in sagas for step in saga.steps for victim in ("serve", "host") for deed in ("kill", "pause")
    ]


class Aimed(Processes):
    def __init__(self, home: Path) -> None:
        self.aim = home / "sky" / "run" / "aim"
        super().__init__(
            home, path=Path(__file__).parent / "aim", more={"SKYHOLD_TEST_AIM": str(self.aim)}
        )
        self.image = self.wanted("/image/v2/images?name=tiny", "images")
        self.flavor = self.wanted(f"{C}/flavors", "flavors")
        self.network = self.wanted(f"{N}/networks?name=private", "networks")

    def wish(self) -> Call:
        return "POST", f"{C}/servers", {"server": {
            "name": f"aimed-{time.monotonic_ns()}", "imageRef": self.image, "flavorRef": self.flavor,
            "networks": [{"uuid": self.network}],
        }}

    def server(self) -> str:
        status, made = self.call(*self.wish())
        assert status == 202, made
        self.rest()
        return str(made["server"]["id"])

    def strike(self, point: Point) -> float:
        """Set the saga going, let it be struck at its step, mend what was done; the seconds until all was at rest."""
        server = self.server() if point.saga != "compute.boot" else ""
        call = BEGIN[point.saga](self, server)
        self.aim.write_text(json.dumps(
            {"saga": point.saga, "step": point.step, "victim": point.victim, "deed": point.deed}
        ))
        answers: list[int] = []
        user = threading.Thread(target=lambda: answers.append(self.call(*call)[0]))
        user.start()
        self.met()
        if point.deed == "kill":
            self.up()
        else:
            time.sleep(PAUSE_S[point.victim])
            self.signal(point.victim, signal.SIGCONT)
        user.join()
        assert answers[0] in FITTING, answers
        return self.rest()

    def met(self) -> None:
        met, end = self.aim.with_suffix(".met"), time.monotonic() + QUIET_S
        while not met.exists():
            assert time.monotonic() < end, "the step was never reached"
            time.sleep(0.005)
        met.unlink()

    def nothing_is_found(self) -> None:
        """The operator's audit, beside what `rest` has compared from outside."""
        end = time.monotonic() + QUIET_S
        while (told := self.call("GET", "/admin/v1/audit", admin=True)) != (200, {"findings": []}):
            assert time.monotonic() < end, told
            time.sleep(0.2)

    def delete_all(self) -> None:
        for row in self.users_servers():
            assert self.call("DELETE", f"{C}/servers/{row.id}")[0] in (204, 404)
        end = time.monotonic() + QUIET_S
        while left := self.users_servers():
            assert time.monotonic() < end, f"these stay: {[(row.id, row.state, row.task) for row in left]}"
            time.sleep(0.05)
        self.rest()
        assert len(self.guests()) == 1, "only the guest of `first`"
        for image in self.call("GET", "/image/v2/images?name=aimed")[1]["images"]:
            assert self.call("DELETE", f"/image/v2/images/{image['id']}")[0] == 204


def action(body: Any) -> Callable[[Aimed, str], Call]:
    return lambda cloud, server: ("POST", f"{C}/servers/{server}/action", body)


def detach(cloud: Aimed, server: str) -> Call:
    port = cloud.wanted(f"{N}/ports?device_id={server}", "ports")
    return "DELETE", f"{C}/servers/{server}/os-interface/{port}", None


BEGIN: dict[str, Callable[[Aimed, str], Call]] = {
    "compute.boot": lambda cloud, _: cloud.wish(),
    "compute.change_power": action({"os-stop": None}),
    "compute.reboot": action({"reboot": {"type": "HARD"}}),
    "compute.create_image": action({"createImage": {"name": "aimed"}}),
    "compute.delete": lambda _, server: ("DELETE", f"{C}/servers/{server}", None),
    "compute.attach_port": lambda cloud, server: (
        "POST", f"{C}/servers/{server}/os-interface", {"interfaceAttachment": {"net_id": cloud.network}}
    ),
    "compute.detach_port": detach,
}
