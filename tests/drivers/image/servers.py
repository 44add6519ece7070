# SPDX-License-Identifier: Apache-2.0
"""An S3 server and a Ceph cluster of one machine, each in processes of its own and in a directory of its own.

What is tested with them is test_stores.py. Ceph needs root and Debian's packages ceph-mon, ceph-osd, python3-rbd and
python3-rados; a machine without them leaves its tests out.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyhold.image.drivers.rbd import RbdStore
from skyhold.image.drivers.s3 import S3Store

START_S = 60.0
POOL = "images"
CONF = """\
[global]
fsid = {fsid}
mon host = 127.0.0.1:{port}
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd objectstore = bluestore
bluestore block size = 2147483648
bluestore cache autotune = false
bluestore cache size = 33554432
mon allow pool size one = true
mon data = {home}/mon
osd data = {home}/osd
keyring = {home}/keyring
run dir = {home}
admin socket = {home}/$name.asok
log file = {home}/$name.log
pid file = {home}/$name.pid
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


# ---- S3 --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Its address; moto keeps all in memory."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for("127.0.0.1", port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def s3_store(address: str) -> S3Store:
    return S3Store(
        bucket="images-" + uuid.uuid4().hex[:12], endpoint=address, region="us-east-1", access_key="key",
        secret_key="secret", make_bucket=True,
    )


def wait_for(host: str, port: int) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            assert time.monotonic() < end, f"nothing listens on {port}"
            time.sleep(0.1)
        else:
            return


# ---- Ceph ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration file of a cluster with one monitor, one disk that is a file, and a pool."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a cluster")
    missing = [name for name in ("ceph-mon", "ceph-osd", "ceph", "rbd") if shutil.which(name) is None]
    assert not missing, f"{', '.join(missing)} not found: script/test installs Ceph's packages"
    home = tmp_path_factory.mktemp("ceph")
    conf = home / "ceph.conf"
    conf.write_text(CONF.format(fsid=uuid.uuid4(), port=free_port(), home=home))
    try:
        begin(home, conf)
        yield conf
    finally:
        for name in ("osd.0", "mon.a"):
            end(home / f"{name}.pid")


def begin(home: Path, conf: Path) -> None:
    keyring, monmap = str(home / "keyring"), str(home / "monmap")
    (home / "osd").mkdir()
    at = ["-c", str(conf)]
    port = next(line.rpartition(":")[2] for line in conf.read_text().splitlines() if line.startswith("mon host"))
    fsid = next(line.rpartition(" ")[2] for line in conf.read_text().splitlines() if line.startswith("fsid"))
    run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    caps = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
    run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *caps)
    run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{port}]", "--fsid", fsid, monmap)
    run("ceph-mon", *at, "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
    run("ceph-mon", *at, "-i", "a")
    disk = str(uuid.uuid4())
    run("ceph", *at, "osd", "new", disk)
    (home / "osd" / "ceph_fsid").write_text(fsid + "\n")
    run("ceph-osd", *at, "-i", "0", "--mkfs", "--osd-uuid", disk)
    run("ceph-osd", *at, "-i", "0")
    run("ceph", *at, "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=one")


def rbd_store(conf: Path) -> RbdStore:
    """In a pool of its own."""
    pool = "images-" + uuid.uuid4().hex[:12]
    run("ceph", "-c", str(conf), "osd", "pool", "create", pool, "8")
    run("ceph", "-c", str(conf), "osd", "pool", "application", "enable", pool, "rbd")
    return RbdStore(pool=pool, conf=str(conf))


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def end(pid_file: Path) -> None:
    if pid_file.exists():
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
