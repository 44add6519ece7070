# SPDX-License-Identifier: Apache-2.0
"""A server as its host is told about it: the guest's spec and its metadata.

Sending it is the business of sagas; the structs are drivers/base.py. Read in one go, so that
disks, ports and metadata belong to the same moment.
"""

from __future__ import annotations

from typing import Any, Literal

from skyhold.compute.drivers.base import DiskSpec, GuestSpec, ImageSource, InstanceMetadata, PortPlug
from skyhold.compute.servers import views, volumes
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort
from skyhold.image import facade as image_facade
from skyhold.network import facade as network

GIB = 1024**3
MIB = 1024**2
FORMATS: dict[str, Literal["raw", "qcow2"]] = {"raw": "raw", "qcow2": "qcow2"}


def guest(tx: Tx, ctx: Context, server_id: str, token: str, has_volumes: bool = True) -> GuestSpec:
    """`token` lets the host fetch the image when it doesn't share the store's disk; `has_volumes` False spares the
    question for them."""
    server = SERVERS_STORE.expect(tx, server_id)
    ports = network.views(tx, ctx, [server_id]).get(server_id, [])
    return GuestSpec(
        guest_id=server.id, name=views.instance_name(server.id), vcpus=server.flavor["vcpus"],
        ram_mb=server.flavor["ram_mb"], disks=disks(tx, ctx, server, token),
        volumes=volumes.disks(tx, ctx, server.id) if has_volumes else [],
        ports=[plug(port) for port in ports], metadata=metadata_of(ctx, server, ports),
        config_drive=server.config_drive, properties=honoured(server),
    )


def disks(tx: Tx, ctx: Context, server: Any, token: str) -> list[DiskSpec]:
    """The local ones, as the flavor has them; a server without an image has its root disk on a volume."""
    flavor = server.flavor
    found = [root_disk(tx, ctx, server, token)] if server.image_id else []
    if flavor["ephemeral_gb"]:
        found.append(DiskSpec(role="ephemeral", size_bytes=flavor["ephemeral_gb"] * GIB))
    if flavor["swap_mb"]:
        found.append(DiskSpec(role="swap", size_bytes=flavor["swap_mb"] * MIB))
    return found


def root_disk(tx: Tx, ctx: Context, server: Any, token: str) -> DiskSpec:
    image = image_facade.find(tx, ctx, server.image_id)
    if image is None or image.status != "active":
        raise Abort(f"Image {server.image_id} is no longer there to boot from.")
    format = FORMATS.get(image.disk_format or "")
    if format is None or image.size_bytes is None or image.sha512 is None:
        raise Abort(
            f"Image {image.id} can't be booted before its content was read through: try again when it has an "
            "os_hash_value."
        )
    path = image_facade.local_path(ctx.core, image)
    source = ImageSource(
        image_id=image.id, format=format, size_bytes=image.size_bytes,
        virtual_size_bytes=image.virtual_size_bytes or image.size_bytes, sha512=image.sha512,
        path=str(path) if path else None, url=image_facade.download_url(ctx.core, image.id), token=token,
    )
    size_bytes = server.flavor["disk_gb"] * GIB or source.virtual_size_bytes
    return DiskSpec(role="root", size_bytes=size_bytes, source=source)


def plug(port: Any) -> PortPlug:
    return PortPlug(port_id=port.id, mac=port.mac, mtu=port.mtu, tag=port.tag)


def metadata(tx: Tx, ctx: Context, server_id: str) -> InstanceMetadata | None:
    """None when the server is gone meanwhile."""
    server = SERVERS_STORE.find(tx, server_id)
    if server is None:
        return None
    return metadata_of(ctx, server, network.views(tx, ctx, [server_id]).get(server_id, []))


def metadata_of(ctx: Context, server: Any, ports: list[Any]) -> InstanceMetadata:
    fixed = [address for port in ports for address in port.fixed_ips]
    domain = next((port.dns_domain for port in ports if getattr(port, "dns_domain", "")), "")
    name = f"{server.hostname}.{domain.rstrip('.')}" if domain else server.hostname
    return InstanceMetadata(
        server_id=server.id, project_id=server.project_id, name=server.name, hostname=name,
        availability_zone=server.availability_zone, launch_index=server.launch_index,
        # The same at every repetition, and known to nobody without the cloud's key.
        random_seed=ctx.core.keyring.derive("random_seed:" + server.id, 512),
        reservation_id=server.reservation_id, instance_type=server.flavor["name"], image_id=server.image_id,
        public_keys={key["name"]: key["data"] for key in server.keys}, meta=server.metadata,
        user_data=server.user_data, network_data=network.network_data(ports),
        port_ids=[port.id for port in ports], fixed_ips=[address.ip for address in fixed],
        floating_ips=[address.floating_ip for address in fixed if address.floating_ip],
        security_groups=sorted({group for port in ports for group in port.security_group_names}),
    )


def honoured(server: Any) -> dict[str, str]:
    """`hw_*` of the image, overridden by `hw:*` of the flavor; nothing of the program's own."""
    asked = {**server.properties, **server.flavor["extra_specs"]}
    return {key: str(value) for key, value in asked.items() if key.startswith(("hw_", "hw:", "os_"))}
