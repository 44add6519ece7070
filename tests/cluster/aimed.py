# SPDX-License-Identifier: Apache-2.0
"""A cloud of real processes, of which one is killed or paused exactly when a saga is at a given step.

How it is struck is aim/sitecustomize.py; the cloud itself is cloud.py, and the ways to set sagas going are the users'
own, by HTTP. The points come from the registry of sagas: a new one is struck at each of its steps by its line in BEGIN.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skyhold.cmd.compose import services
from tests.cluster.cloud import Processes
from tests.kit.patience import PATIENCE_S

C, G, N, V = "/compute/v2.1", "/image/v2", "/network/v2.0", "/volume/v3"
SERVERLESS = ("compute.boot", "image.", "volume.")
CONTENT = b"what a disk may hold" * 50_000
STORES = """\
[file]
type = "file"
default = true

[second]
type = "file"

[web]
type = "http"
"""
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
        self.killed_by = Counter[str]()
        """Hosts, in the middle of a verb by themselves, or beside a step that asks them nothing."""
        self.aim = home / "sky" / "run" / "aim"
        (home / "sky").mkdir(mode=0o700)
        (home / "sky" / "image-stores.toml").write_text(STORES)
        self.web = Web(home / "web")
        super().__init__(
            home, '[outbound]\nallow = ["127.0.0.1/32"]\n', path=Path(__file__).parent / "aim",
            more={"SKYHOLD_TEST_AIM": str(self.aim)},
        )
        self.image = self.wanted("/image/v2/images?name=tiny", "images")
        self.flavor = self.wanted(f"{C}/flavors", "flavors")
        self.network = self.wanted(f"{N}/networks?name=private", "networks")

    def close(self) -> None:
        super().close()
        self.web.close()

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
        server = "" if point.saga.startswith(SERVERLESS) else self.server()
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
        met, end = self.aim.with_suffix(".met"), time.monotonic() + PATIENCE_S
        while not met.exists():
            assert time.monotonic() < end, "the step was never reached"
            time.sleep(0.005)
        told = json.loads(met.read_text())
        if (told["victim"], told["deed"]) == ("host", "kill"):
            self.killed_by[told["by"]] += 1
        met.unlink()

    def nothing_is_found(self) -> None:
        """The operator's audit, beside what `rest` has compared from outside."""
        end = time.monotonic() + PATIENCE_S
        while (told := self.call("GET", "/admin/v1/audit", admin=True)) != (200, {"findings": []}):
            assert time.monotonic() < end, told
            time.sleep(0.2)

    def delete_all(self) -> None:
        for row in self.users_servers():
            assert self.call("DELETE", f"{C}/servers/{row.id}")[0] in (204, 404)
        end = time.monotonic() + PATIENCE_S
        while left := self.users_servers():
            assert time.monotonic() < end, f"these stay: {[(row.id, row.state, row.task) for row in left]}"
            time.sleep(0.05)
        self.rest()
        assert len(self.guests()) == 1, "only the guest of `first`"
        self.delete_volumes()
        for image in self.call("GET", f"{G}/images?name=aimed")[1]["images"]:
            assert self.call("DELETE", f"{G}/images/{image['id']}")[0] == 204


    def delete_volumes(self) -> None:
        """Whoever is at it still may be told again."""
        end = time.monotonic() + PATIENCE_S
        while left := self.call("GET", f"{V}/volumes")[1]["volumes"]:
            assert time.monotonic() < end, f"these stay: {left}"
            for each in left:
                self.call("DELETE", f"{V}/volumes/{each['id']}?cascade=true")
            time.sleep(0.2)


class Web:
    """A site that has one file, for imports and locations."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "disk").write_bytes(CONTENT)
        quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        here = functools.partial(quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), here)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/disk"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def action(body: Any) -> Callable[[Aimed, str], Call]:
    return lambda cloud, server: ("POST", f"{C}/servers/{server}/action", body)


def detach(cloud: Aimed, server: str) -> Call:
    port = cloud.wanted(f"{N}/ports?device_id={server}", "ports")
    return "DELETE", f"{C}/servers/{server}/os-interface/{port}", None


def attach_volume(cloud: Aimed, server: str) -> Call:
    wish = {"volumeAttachment": {"volumeId": volume(cloud).rpartition("/")[2]}}
    return "POST", f"{C}/servers/{server}/os-volume_attachments", wish


def detach_volume(cloud: Aimed, server: str) -> Call:
    method, path, wish = attach_volume(cloud, server)
    assert cloud.call(method, path, wish)[0] == 200
    cloud.rest()
    return "DELETE", f"{path}/{wish['volumeAttachment']['volumeId']}", None


def image(cloud: Aimed) -> str:
    """An image that waits for its content."""
    wish = {"name": "aimed", "disk_format": "raw", "container_format": "bare"}
    status, made = cloud.call("POST", f"{G}/images", wish)
    assert status == 201, made
    return str(made["id"])


def boot(cloud: Aimed, _: str) -> Call:
    """With a volume that is made with it, and goes with it."""
    method, path, body = cloud.wish()
    root = {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": cloud.image}
    made = {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "delete_on_termination": True}
    return method, path, {"server": body["server"] | {"block_device_mapping_v2": [root, made]}}


def volume(cloud: Aimed) -> str:
    """The address of a volume at rest."""
    status, made = cloud.call("POST", f"{V}/volumes", {"volume": {"size": 1}})
    assert status == 202, made
    return at_rest(cloud, f"{V}/volumes/{made['volume']['id']}", "volume")


def snapped(cloud: Aimed) -> tuple[str, str]:
    """Those of a volume and of its snapshot."""
    whole = volume(cloud)
    status, made = cloud.call("POST", f"{V}/snapshots", {"snapshot": {"volume_id": whole.rpartition("/")[2]}})
    assert status == 202, made
    return whole, at_rest(cloud, f"{V}/snapshots/{made['snapshot']['id']}", "snapshot")


def at_rest(cloud: Aimed, path: str, kind: str) -> str:
    end = time.monotonic() + PATIENCE_S
    while (shown := cloud.call("GET", path)[1])[kind]["status"] != "available":
        assert time.monotonic() < end, shown
        time.sleep(0.05)
    return path


def import_image(cloud: Aimed, _: str) -> Call:
    wish = {"method": {"name": "web-download", "uri": cloud.web.url}, "stores": ["file", "second"]}
    return "POST", f"{G}/images/{image(cloud)}/import", wish


def add_location(cloud: Aimed, _: str) -> Call:
    promised = {"os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(CONTENT).hexdigest()}
    return "POST", f"{G}/images/{image(cloud)}/locations", {"url": cloud.web.url, "validation_data": promised}


BEGIN: dict[str, Callable[[Aimed, str], Call]] = {
    "compute.boot": boot,
    "compute.change_power": action({"os-stop": None}),
    "compute.reboot": action({"reboot": {"type": "HARD"}}),
    "compute.create_image": action({"createImage": {"name": "aimed"}}),
    "compute.delete": lambda _, server: ("DELETE", f"{C}/servers/{server}", None),
    "compute.attach_port": lambda cloud, server: (
        "POST", f"{C}/servers/{server}/os-interface", {"interfaceAttachment": {"net_id": cloud.network}}
    ),
    "compute.detach_port": detach,
    "volume.create": lambda cloud, _: ("POST", f"{V}/volumes", {"volume": {"size": 1, "imageRef": cloud.image}}),
    "volume.delete": lambda cloud, _: ("DELETE", f"{snapped(cloud)[0]}?cascade=true", None),
    "volume.extend": lambda cloud, _: ("POST", f"{volume(cloud)}/action", {"os-extend": {"new_size": 2}}),
    "volume.upload": lambda cloud, _: (
        "POST", f"{volume(cloud)}/action", {"os-volume_upload_image": {"image_name": "aimed"}}
    ),
    "volume.create_snapshot": lambda cloud, _: (
        "POST", f"{V}/snapshots", {"snapshot": {"volume_id": volume(cloud).rpartition("/")[2]}}
    ),
    "volume.delete_snapshot": lambda cloud, _: ("DELETE", snapped(cloud)[1], None),
    "compute.attach_volume": attach_volume,
    "compute.detach_volume": detach_volume,
    "image.import": import_image,
    "image.hash_location": add_location,
}
