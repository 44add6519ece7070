# SPDX-License-Identifier: Apache-2.0
"""Stories of the config drive and of the tree it is made from.

That the metadata service says the same is proved in tests/unit/host/test_metadata.py. The drive is read
back with a second implementation (pycdlib's reader, mtools), never with the code that wrote it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from io import BytesIO
from pathlib import Path

import pycdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.compute.drivers import config_drive
from skyhold.compute.drivers.base import InstanceMetadata
from skyhold.compute.drivers.instance_tree import (
    EC2_VERSIONS,
    OPENSTACK_VERSIONS,
    ec2_id,
    ec2_meta_data,
    tree,
)

SERVER = InstanceMetadata(
    server_id="1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
    project_id="8b1c",
    name="web one",
    hostname="web-one.novalocal",
    availability_zone="nova",
    reservation_id="r-abcdefgh",
    instance_type="m1.tiny",
    image_id="70a599e0-31e7-49b7-b260-868f441e862b",
    public_keys={"laptop": "ssh-ed25519 AAAA me", "win": "-----BEGIN CERTIFICATE-----\nMII\n"},
    meta={"role": "web"},
    user_data=b"#!/bin/sh\necho \xff\n",
    random_seed=bytes(range(256)) * 2,
    admin_pass="s3cret",
    network_data={"links": [{"id": "tap1"}], "networks": [], "services": []},
    fixed_ips=["fd00::5", "10.0.0.5"],
    floating_ips=["203.0.113.9"],
    security_groups=["default", "web"],
)


def _read(drive: Path, name: str, kind: str) -> bytes:
    iso = pycdlib.PyCdlib()
    iso.open(str(drive))
    out = BytesIO()
    iso.get_file_from_iso_fp(out, **{kind: f"/{name}"})
    iso.close()
    return out.getvalue()


@pytest.mark.parametrize("names", ["rr_path", "joliet_path"])
def test_every_file_reads_back_under_both_kinds_of_names(tmp_path, names):
    config_drive.build(SERVER, tmp_path / "drive.iso")
    wanted = config_drive.files(SERVER)
    assert len(wanted) > 40
    for name, content in wanted.items():
        assert _read(tmp_path / "drive.iso", name, names) == content


def test_the_label_stands_where_the_kernel_looks_for_it(tmp_path):
    config_drive.build(SERVER, tmp_path / "drive.iso")
    image = (tmp_path / "drive.iso").read_bytes()
    assert image[32769:32774] == b"CD001"
    assert image[32808:32840].rstrip(b" \0") == b"config-2"


def test_the_drive_is_private_whole_and_leaves_nothing_beside_it(tmp_path):
    drive = tmp_path / "drive.iso"
    drive.write_bytes(b"older")
    config_drive.build(SERVER, drive)
    assert stat.S_IMODE(drive.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [drive]


def test_a_failed_write_keeps_the_older_drive(tmp_path, monkeypatch):
    drive = tmp_path / "drive.iso"
    drive.write_bytes(b"older")

    def full(*_):
        raise OSError("no space")

    monkeypatch.setattr(config_drive, "_write_iso", full)
    with pytest.raises(OSError, match="no space"):
        config_drive.build(SERVER, drive)
    assert drive.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [drive]


# As root script/test has installed them, and their absence is a failure.
@pytest.mark.skipif(
    os.geteuid() != 0 and not (shutil.which("mcopy") and Path("/usr/sbin/mkfs.vfat").exists()),
    reason="dosfstools and mtools are not installed, and only root could install them",
)
def test_vfat_holds_the_same_files(tmp_path):
    drive = tmp_path / "drive.vfat"
    config_drive.build_vfat(SERVER, drive)
    assert stat.S_IMODE(drive.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [drive]
    assert drive.read_bytes()[43:54].rstrip(b" ") == b"config-2"
    (tmp_path / "out").mkdir()
    subprocess.run(["mcopy", "-s", "-i", str(drive), "::*", str(tmp_path / "out")], check=True)
    found = {
        str(file.relative_to(tmp_path / "out")): file.read_bytes()
        for file in (tmp_path / "out").rglob("*")
        if file.is_file()
    }
    assert found == config_drive.files(SERVER)


def _meta(version: str) -> dict:
    return json.loads(tree(SERVER)[f"openstack/{version}/meta_data.json"])


def test_each_version_has_the_keys_it_brought():
    assert "random_seed" not in _meta("2012-08-10")
    assert "random_seed" in _meta("2013-04-04")
    assert "project_id" not in _meta("2013-10-17")
    assert _meta("2015-10-15")["project_id"] == "8b1c"
    assert "devices" not in _meta("2015-10-15")
    assert _meta("2016-06-30")["devices"] == []
    assert "dedicated_cpus" not in _meta("2018-08-27")
    assert _meta("2020-10-14")["dedicated_cpus"] == []
    assert _meta("latest") == _meta("2025-04-04")


def test_each_version_has_the_files_it_brought():
    def names(version: str) -> set[str]:
        prefix = f"openstack/{version}/"
        return {path.removeprefix(prefix) for path in tree(SERVER) if path.startswith(prefix)}

    assert names("2012-08-10") == {"meta_data.json", "user_data"}
    assert names("2013-10-17") == {"meta_data.json", "user_data", "vendor_data.json"}
    assert names("2015-10-15") == names("2013-10-17") | {"network_data.json"}
    assert names("2016-10-06") == names("2015-10-15") | {"vendor_data2.json"} == names("latest")


def test_keys_tell_certificates_from_ssh_keys():
    assert [key["type"] for key in _meta("latest")["keys"]] == ["ssh", "x509"]
    assert _meta("latest")["public_keys"] == SERVER.public_keys


def test_ec2_leaves_by_version():
    assert "local-hostname" not in ec2_meta_data(SERVER, "1.0")
    assert "instance-type" not in ec2_meta_data(SERVER, "2007-03-01")
    newest = ec2_meta_data(SERVER, "latest")
    assert newest == ec2_meta_data(SERVER, "2009-04-04")
    assert newest["instance-id"] == "i-1b9d6bcd"
    assert newest["ami-id"] == "ami-70a599e0"
    assert newest["local-ipv4"] == "10.0.0.5"
    assert newest["public-ipv4"] == "203.0.113.9"
    assert newest["placement"] == {"availability-zone": "nova"}
    with pytest.raises(KeyError):
        ec2_meta_data(SERVER, "2030-01-01")


def test_the_password_is_on_the_drive_only():
    assert not any(b"s3cret" in content for content in tree(SERVER).values())
    assert b"s3cret" in config_drive.files(SERVER)["openstack/latest/meta_data.json"]


def test_a_server_without_user_data_has_no_such_file():
    bare = InstanceMetadata(server_id="a", project_id="p", name="n", hostname="n", availability_zone="nova")
    leaves = tree(bare)
    assert not any("user" in path for path in leaves)
    assert len({path.split("/")[1] for path in leaves}) == len(OPENSTACK_VERSIONS) + len(EC2_VERSIONS) + 1


@given(st.uuids())
def test_ec2_ids_have_eight_digits(uuid):
    assert ec2_id("i", str(uuid)) == f"i-{uuid.hex[:8]}"
