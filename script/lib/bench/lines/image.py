# SPDX-License-Identifier: Apache-2.0
"""Image's lines: the records, and 256 MiB up and down in CPU seconds per GiB, with the memory they cost.

The bytes are not all alike, so nothing can be gained by sparse files or compression. Peak memory
is the kernel's own high-water mark, reset before each line.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from cloud import Cloud
from figures import Goal, Line, repeat
from wire import Wire, per_thread

MIB = 1 << 20
SIZE_MIB = 256
LONG_MIB = 4096
UPLOADS = 8
BESIDE_MIB = 64
ASKED = 2000
TURNS = 3
ALL = "/image/v2/images"
LISTED = 1000
TAGS = ["linux", "cloud"]


def upload(cloud: Cloud) -> dict[str, Any]:
    wire = cloud.wire()
    send(wire, 4)
    return moved(cloud, lambda: send(wire, SIZE_MIB))


def download(cloud: Cloud) -> dict[str, Any]:
    wire = cloud.wire()
    path = send(wire, SIZE_MIB)

    def fetch() -> None:
        if (got := wire.drain(path)) != SIZE_MIB * MIB:
            raise SystemExit(f"{got} bytes came instead of {SIZE_MIB} MiB")

    fetch()
    return moved(cloud, fetch)


def send(wire: Wire, size_mib: int, content: Iterator[bytes] | None = None) -> str:
    """A raw image of that size; the path of its bytes."""
    wish = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
    path = f"/image/v2/images/{wire.ask('POST', '/image/v2/images', wish).json['id']}/file"
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_mib * MIB)}
    wire.ask("PUT", path, content or blocks(size_mib), headers)
    return path


def blocks(size_mib: int) -> Iterator[bytes]:
    noise = os.urandom(MIB)
    for i in range(size_mib):
        yield i.to_bytes(8, "big") + noise[8:]


def moved(cloud: Cloud, act: Callable[[], object]) -> dict[str, Any]:
    cloud.forget_peak()
    before_mib, cpu_before, walls = cloud.rss_mib(), cloud.cpu_s(), []
    for _ in range(TURNS):
        began = time.perf_counter()
        act()
        walls.append(time.perf_counter() - began)
    cpu_s = (cloud.cpu_s() - cpu_before) / TURNS
    wall_s, grown_mib = statistics.median(walls), cloud.peak_mib() - before_mib
    per_gib = cpu_s * 1024 / SIZE_MIB
    note = f"{per_gib:.2f} CPU-s per GiB, {SIZE_MIB / wall_s:,.0f} MiB/s, peak memory +{grown_mib:.1f} MiB"
    return {
        "cpu_ms": cpu_s * 1e3, "wall_ms": wall_s * 1e3, "per_s": 1 / wall_s, "amount": per_gib, "note": note,
    }


def upload_long(cloud: Cloud) -> dict[str, Any]:
    figures, grown_mib, _ = sent_long(cloud)
    return figures | {"amount": grown_mib}


def upload_long_cpu(cloud: Cloud) -> dict[str, Any]:
    figures, _, per_gib = sent_long(cloud)
    return figures | {"amount": per_gib}


@cache
def sent_long(cloud: Cloud) -> tuple[dict[str, Any], float, float]:
    """One that is larger than the memory it may take many times over: its figures, MiB of memory, CPU-s per GiB."""
    wire = cloud.wire()
    send(wire, 4)
    cloud.forget_peak()
    before_mib, cpu_before, began = cloud.rss_mib(), cloud.cpu_s(), time.perf_counter()
    path = send(wire, LONG_MIB)
    wall_s, grown_mib = time.perf_counter() - began, cloud.peak_mib() - before_mib
    cpu_s = cloud.cpu_s() - cpu_before
    wire.ask("DELETE", path.removesuffix("/file"))
    per_gib = cpu_s * 1024 / LONG_MIB
    note = f"peak memory +{grown_mib:.1f} MiB, {LONG_MIB / wall_s:,.0f} MiB/s, {per_gib:.2f} CPU-s per GiB"
    return {"cpu_ms": cpu_s * 1e3, "wall_ms": wall_s * 1e3, "per_s": 1 / wall_s, "note": note}, grown_mib, per_gib


def validate_beside_uploads(cloud: Cloud) -> dict[str, Any]:
    """How many times longer a validation takes while eight uploads are under way, sent by another process."""
    wire = cloud.wire()
    headers = {"X-Subject-Token": wire._headers["X-Auth-Token"]}
    quiet_s = median_s(wire, headers)
    fork = multiprocessing.get_context("fork")
    sent = fork.Value("q", 0)
    going = fork.Process(target=send_for_ever, args=(cloud, UPLOADS, sent))
    going.start()
    try:
        time.sleep(2)
        sent_before, cpu_before, began = sent.value, cloud.cpu_s(), time.perf_counter()
        busy_s = median_s(wire, headers)
        wall_s, cpu_s, sent_mib = time.perf_counter() - began, cloud.cpu_s() - cpu_before, sent.value - sent_before
    finally:
        going.terminate()
        going.join()
    ratio = busy_s / quiet_s
    note = (
        f"{quiet_s * 1e3:.2f} ms quiet, {busy_s * 1e3:.2f} ms beside {UPLOADS} uploads "
        f"of {sent_mib / wall_s:.0f} MiB/s: {ratio:.1f} times"
    )
    return {"cpu_ms": cpu_s * 1e3, "wall_ms": wall_s * 1e3, "per_s": ASKED / wall_s, "amount": ratio, "note": note}


def median_s(wire: Wire, headers: dict[str, str]) -> float:
    walls = []
    for _ in range(ASKED):
        began = time.perf_counter()
        wire.ask("GET", "/identity/v3/auth/tokens", headers=headers)
        walls.append(time.perf_counter() - began)
    return statistics.median(walls)


def send_for_ever(cloud: Cloud, number: int, sent: Any) -> None:
    # As if the clients were on machines of their own: they take what the cloud leaves.
    os.nice(19)

    def counted() -> Iterator[bytes]:
        for block in blocks(BESIDE_MIB):
            yield block
            with sent.get_lock():
                sent.value += 1

    def one() -> None:
        wire = cloud.wire()
        while True:
            path = send(wire, BESIDE_MIB, counted())
            wire.ask("DELETE", path.removesuffix("/file"))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def create(cloud: Cloud) -> dict[str, Any]:
    wire = per_thread(cloud.wire)
    return repeat(cloud, lambda i: wire().ask("POST", ALL, wish(i)), 500, warm=20)


def show(cloud: Cloud) -> dict[str, Any]:
    wire = per_thread(cloud.wire)
    path = f"{ALL}/{wire().ask('POST', ALL, wish(0)).json['id']}"
    return repeat(cloud, lambda i: wire().ask("GET", path), 1000, warm=20)


def list_many(cloud: Cloud) -> dict[str, Any]:
    wire = per_thread(cloud.wire)
    for i in range(LISTED - len(wire().ask("GET", f"{ALL}?limit={LISTED}").json["images"])):
        wire().ask("POST", ALL, wish(i))

    def page(i: int) -> None:
        if len(wire().ask("GET", f"{ALL}?limit={LISTED}").json["images"]) != LISTED:
            raise SystemExit("the list is shorter than it was filled")

    return repeat(cloud, page, 60)


def wish(i: int) -> dict[str, Any]:
    """As a cloud's image looks: tags and some properties."""
    return {
        "name": f"image-{i}", "disk_format": "qcow2", "container_format": "bare", "min_disk": 10, "tags": TAGS,
        "os_distro": "debian", "os_version": str(i % 20), "architecture": "x86_64", "hw_disk_bus": "virtio",
    }


LINES = [
    Line("image create", Goal("cpu_ms", 3, "<= 3 ms CPU"), create),
    Line("image show", Goal("cpu_ms", 1, "<= 1 ms CPU"), show),
    Line("images list of 1,000", Goal("cpu_ms", 20, "<= 20 ms CPU"), list_many),
    Line("image upload 256 MiB", Goal("amount", 4, "<= 4 CPU-s per GiB"), upload),
    Line("image upload 4 GiB", Goal("amount", 16, "<= 16 MiB of memory"), upload_long),
    Line("image upload 4 GiB, CPU", Goal("amount", 4, "<= 4 CPU-s per GiB"), upload_long_cpu),
    Line("token validate beside 8 uploads", Goal("amount", 2, "<= 2 times the time"), validate_beside_uploads),
    Line("image download 256 MiB", Goal("amount", 0.6, "<= 0.6 CPU-s per GiB"), download),
]
