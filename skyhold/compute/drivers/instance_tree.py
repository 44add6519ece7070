# SPDX-License-Identifier: Apache-2.0
"""What a server may read about itself, as one tree of paths: OpenStack's files and EC2's leaves.

Serving it over HTTP is skyhold.host.metadata and writing it to a disk is config_drive.py beside this file.
Both take every byte from here, so a guest reads the same whichever way it asks; the one exception is the
administrator's password, which only the drive may carry because any process of a guest can ask over HTTP.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from skyhold.compute.drivers.base import InstanceMetadata

OPENSTACK_VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
)
EC2_VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)
PASSWORD_SINCE = "2013-04-04"  # noqa: S105 - a version, not a secret
_NOTHING = b"{}"
_ROOT_DEVICE = "vda"

Ec2Node = str | list[str] | dict[str, "Ec2Node"]


def tree(metadata: InstanceMetadata, *, with_admin_pass: bool = False) -> dict[str, bytes]:
    """All leaves as path without a leading slash to content, for both dialects.

    `openstack/<version>/<file>` and `ec2/<version>/meta-data/<leaf>`, `ec2/<version>/user-data`, each for
    every version and `latest`. Follows the metadata format of Nova's user guide.
    """
    leaves = openstack_tree(metadata, with_admin_pass=with_admin_pass)
    for version in (*EC2_VERSIONS, "latest"):
        _flatten(f"ec2/{version}/meta-data", ec2_meta_data(metadata, version), leaves)
        if metadata.user_data is not None:
            leaves[f"ec2/{version}/user-data"] = metadata.user_data
    return leaves


def openstack_tree(metadata: InstanceMetadata, *, with_admin_pass: bool = False) -> dict[str, bytes]:
    """The OpenStack half of `tree`."""
    leaves: dict[str, bytes] = {}
    network = _json(metadata.network_data)
    for version in (*OPENSTACK_VERSIONS, "latest"):
        as_of = OPENSTACK_VERSIONS[-1] if version == "latest" else version
        for name, content in _openstack_files(metadata, as_of, network, with_admin_pass):
            leaves[f"openstack/{version}/{name}"] = content
    return leaves


def ec2_meta_data(metadata: InstanceMetadata, version: str) -> dict[str, Ec2Node]:
    """The `meta-data` folder of one EC2 version (or `latest`) as nested mappings.

    Raises KeyError for a version that never was.
    """
    as_of = EC2_VERSIONS[-1] if version == "latest" else version
    if as_of not in EC2_VERSIONS:
        raise KeyError(version)
    folder: dict[str, Ec2Node] = {}
    for since, leaves in _ec2_by_version(metadata):
        if as_of >= since:
            folder.update(leaves)
    return folder


def ec2_json(metadata: InstanceMetadata, version: str) -> bytes:
    """`ec2/<version>/meta-data.json` as it stands on a config drive."""
    return _json(ec2_meta_data(metadata, version))


def ec2_id(prefix: str, uuid: str) -> str:
    """EC2's short spelling of one of our ids: `i-1b9d6bcd` for a server, `ami-…` for an image."""
    return f"{prefix}-{(uuid.replace('-', '').lower() or '0')[:8]:0>8}"


def key_names(metadata: InstanceMetadata) -> dict[str, str]:
    """EC2's numbering of the public keys: `{"0": "laptop"}`; the listing prints `0=laptop`."""
    return {str(number): name for number, name in enumerate(metadata.public_keys)}


def _openstack_files(
    metadata: InstanceMetadata, version: str, network: bytes, with_admin_pass: bool
) -> list[tuple[str, bytes]]:
    files = [("meta_data.json", _json(_meta_data(metadata, version, with_admin_pass)))]
    if metadata.user_data is not None:
        files.append(("user_data", metadata.user_data))
    if version >= "2013-10-17":
        files.append(("vendor_data.json", _NOTHING))
    if version >= "2015-10-15":
        files.append(("network_data.json", network))
    if version >= "2016-10-06":
        files.append(("vendor_data2.json", _NOTHING))
    return files


def _meta_data(metadata: InstanceMetadata, version: str, with_admin_pass: bool) -> dict[str, object]:
    document: dict[str, object] = {"uuid": metadata.server_id}
    if metadata.meta:
        document["meta"] = metadata.meta
    if with_admin_pass and metadata.admin_pass is not None:
        document["admin_pass"] = metadata.admin_pass
    if metadata.public_keys:
        document["public_keys"] = metadata.public_keys
        document["keys"] = [_key(name, text) for name, text in metadata.public_keys.items()]
    document |= {
        "hostname": metadata.hostname,
        "name": metadata.name,
        "launch_index": metadata.launch_index,
        "availability_zone": metadata.availability_zone,
    }
    if version >= "2013-04-04" and metadata.random_seed:
        document["random_seed"] = base64.b64encode(metadata.random_seed).decode()
    if version >= "2015-10-15":
        document["project_id"] = metadata.project_id
    if version >= "2016-06-30":
        # Only devices that carry a tag are listed, and InstanceMetadata carries no tags.
        document["devices"] = []
    if version >= "2020-10-14":
        document["dedicated_cpus"] = []
    return document


def _key(name: str, text: str) -> dict[str, str]:
    kind = "x509" if text.lstrip().startswith("-----BEGIN CERTIFICATE") else "ssh"
    return {"name": name, "type": kind, "data": text}


def _ec2_by_version(metadata: InstanceMetadata) -> list[tuple[str, dict[str, Ec2Node]]]:
    """The leaves each EC2 version brought, oldest first."""
    first: dict[str, Ec2Node] = {
        "ami-id": ec2_id("ami", metadata.image_id),
        "ami-launch-index": str(metadata.launch_index),
        # Nova has always answered this very word; images exist that compare it.
        "ami-manifest-path": "FIXME",
        "instance-id": ec2_id("i", metadata.server_id),
        "hostname": metadata.hostname,
        "local-ipv4": _first_ipv4(metadata.fixed_ips),
        "reservation-id": metadata.reservation_id,
        "security-groups": list(metadata.security_groups),
    }
    keys: dict[str, Ec2Node] = {
        number: {"openssh-key": metadata.public_keys[name]} for number, name in key_names(metadata).items()
    }
    if keys:
        first["public-keys"] = keys
    names: dict[str, Ec2Node] = {
        "local-hostname": metadata.hostname,
        "public-hostname": metadata.hostname,
        "public-ipv4": _first_ipv4(metadata.floating_ips),
    }
    return [
        ("1.0", first),
        ("2007-01-19", names),
        ("2007-08-29", {"instance-type": metadata.instance_type}),
        ("2007-12-15", {"block-device-mapping": {"ami": _ROOT_DEVICE, "root": f"/dev/{_ROOT_DEVICE}"}}),
        ("2008-02-01", {"placement": {"availability-zone": metadata.availability_zone}}),
        ("2008-09-01", {"instance-action": "none"}),
    ]


def _first_ipv4(addresses: list[str]) -> str:
    return next((address for address in addresses if ":" not in address), "")


def _flatten(path: str, node: Ec2Node, into: dict[str, bytes]) -> None:
    if isinstance(node, dict):
        for name, below in node.items():
            _flatten(f"{path}/{name}", below, into)
        return
    into[path] = ("\n".join(node) if isinstance(node, list) else node).encode()


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode()
