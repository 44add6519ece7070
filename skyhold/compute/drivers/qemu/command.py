# SPDX-License-Identifier: Apache-2.0
"""Turns a guest's spec into QEMU's argument list. Pure: no files, no clock, no processes.

Starting the list is process.py and what was opened beforehand comes in as `Launch`. Only names
made by us and checked values appear here: what a user wrote reaches the guest in its config drive
and nowhere else.
"""

from __future__ import annotations

import json
import uuid

import msgspec

from skyhold.compute.drivers.base import GuestFailed, GuestSpec, PortPlug, VolumeDisk
from skyhold.compute.drivers.qemu.disks import DiskFile, files_of

PORT_SLOTS = 16
"""PCIe root ports, each for one network interface or volume: q35 can't hot-plug anywhere else."""
TOO_MANY = f"A guest can have at most {PORT_SLOTS} network interfaces and volumes together."

_NIC_MODELS = {"virtio": "virtio-net-pci", "e1000": "e1000", "e1000e": "e1000e", "rtl8139": "rtl8139"}
_DISK_BUSES = {"virtio", "scsi", "sata"}
# At 128 MiB the default translation cache costs 50 MiB more than the guest itself uses.
_TB_SIZE_MB = 32
_FIRST_DISK_ADDR = 4
_FIRST_VOLUME_LUN = 32


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What the start of one process needs besides the spec. `taps`: port id to descriptor; `slots`: port or
    volume id to the number of its root port."""

    accelerator: str
    machine: str
    qmp_fd: int
    taps: dict[str, int] = {}
    slots: dict[str, int] = {}
    volumes: dict[str, int] = {}
    """Volume id to the descriptor of its file, which is also the number of the set it is opened from."""
    owner: int | None = None
    incoming_fd: int | None = None
    config_drive: bool = False


def command(spec: GuestSpec, launch: Launch) -> list[str]:
    """Paths are relative to the guest's `run` folder. Raises GuestFailed for unknown models."""
    return [
        "qemu-system-x86_64",
        *_machine(spec, launch),
        *_identity(spec),
        *_doors(launch),
        *_root_ports(),
        *_disks(spec, launch),
        *_nics(spec, launch),
        *_volumes(spec, launch),
        *_confinement(launch),
    ]


def device_id(port_id: str) -> str:
    return f"nic-{port_id}"


def netdev_id(port_id: str) -> str:
    return f"tap-{port_id}"


def volume_device_id(volume_id: str) -> str:
    return f"volume-{volume_id}"


HOT = (device_id(""), volume_device_id(""))
"""How the names of what sits on root ports begin."""


def volume_node(volume_id: str) -> str:
    """Names of nodes have at most 31 characters, and the file's is five longer than this."""
    return "v" + volume_id.replace("-", "")[:25]


def volume_nodes(volume: VolumeDisk, fdset: int) -> list[dict[str, object]]:
    """The file and its format, as blockdev-add takes them. QEMU never learns where the file is: it is given it open."""
    node = volume_node(volume.volume_id)
    file = {**_file(f"/dev/fdset/{fdset}"), "node-name": f"{node}-file", "discard": "unmap"}
    backing = {"backing": None} if volume.format == "qcow2" else {}
    return [file, {"driver": volume.format, "node-name": node, "file": f"{node}-file", "discard": "unmap", **backing}]


def volume_device(volume: VolumeDisk, slot: int, spec: GuestSpec) -> dict[str, object]:
    """The device as device_add takes it. On SCSI the bus is shared and the place there only a number."""
    device: dict[str, object] = {
        "id": volume_device_id(volume.volume_id), "drive": volume_node(volume.volume_id),
        # By this a guest finds it under /dev/disk/by-id, whatever its name; virtio shows twenty characters.
        "serial": volume.volume_id[:20],
    }
    if _choice(spec, "hw_disk_bus", "virtio", _DISK_BUSES) == "scsi":
        return {**device, "driver": "scsi-hd", "bus": "scsi0.0", "lun": _FIRST_VOLUME_LUN + slot}
    # Nothing can be plugged into a SATA bus while a guest runs; virtio beside it can.
    return {**device, "driver": "virtio-blk-pci", "bus": f"rp{slot}"}


def nic(port: PortPlug, slot: int, spec: GuestSpec) -> dict[str, object]:
    """The device as QMP's device_add takes it; on the command line as JSON."""
    model = _choice(spec, "hw_vif_model", "virtio", set(_NIC_MODELS))
    device: dict[str, object] = {
        "driver": _NIC_MODELS[model],
        "id": device_id(port.port_id),
        "netdev": netdev_id(port.port_id),
        "mac": port.mac,
        "bus": f"rp{slot}",
        "romfile": "",
    }
    if model == "virtio":
        device["host_mtu"] = port.mtu
    return device


def _machine(spec: GuestSpec, launch: Launch) -> list[str]:
    accelerator = launch.accelerator
    if accelerator == "tcg":
        accelerator += f",thread={'multi' if spec.vcpus > 1 else 'single'},tb-size={_TB_SIZE_MB}"
    argv = ["-machine", launch.machine, "-accel", accelerator, "-cpu", "max"]
    argv += ["-smp", f"cpus={spec.vcpus},sockets=1,cores={spec.vcpus},threads=1"]
    argv += ["-m", f"size={spec.ram_mb}M", "-rtc", "base=utc"]
    # A guest that switched itself off stays as a shell until we have seen why it stopped.
    argv += ["-no-shutdown", "-boot", "strict=on"]
    if launch.incoming_fd is not None:
        argv += ["-S", "-incoming", f"fd:{launch.incoming_fd}"]
    return argv


def _identity(spec: GuestSpec) -> list[str]:
    guest_uuid = _uuid_of(spec.guest_id)
    return [
        "-name",
        f"guest={spec.guest_id},process=guest-{guest_uuid[:8]}",
        "-uuid",
        guest_uuid,
        "-smbios",
        # cloud-init looks for its data source by these two names.
        "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,"
        f"serial={guest_uuid},uuid={guest_uuid},family=Virtual Machine",
    ]


def _uuid_of(guest_id: str) -> str:
    try:
        return str(uuid.UUID(guest_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, guest_id))


def _doors(launch: Launch) -> list[str]:
    return [
        "-nodefaults",
        "-no-user-config",
        "-msg",
        "timestamp=on",
        "-chardev",
        f"socket,id=qmp,fd={launch.qmp_fd},server=on,wait=off",
        "-mon",
        "chardev=qmp,mode=control",
        "-chardev",
        "socket,id=serial0,path=../console.sock,server=on,wait=off,logfile=../serial.log,logappend=on",
        "-device",
        "isa-serial,chardev=serial0",
        "-device",
        "VGA,id=video0,bus=pcie.0,addr=0x1,vgamem_mb=16",
        "-vnc",
        "unix:../vnc.sock",
        "-object",
        "rng-random,id=rng0,filename=/dev/urandom",
        "-device",
        "virtio-rng-pci,id=rngdev0,rng=rng0,bus=pcie.0,addr=0x2",
        "-device",
        "virtio-balloon-pci,id=balloon0,bus=pcie.0,addr=0x3",
    ]


def _root_ports() -> list[str]:
    argv = []
    for slot in range(PORT_SLOTS):
        place = f"bus=pcie.0,addr={0x10 + slot // 8:#x}.{slot % 8:#x}"
        first = ",multifunction=on" if slot % 8 == 0 else ""
        argv += ["-device", f"pcie-root-port,id=rp{slot},{place},chassis={slot + 1},port={slot}{first}"]
    return argv


def _disks(spec: GuestSpec, launch: Launch) -> list[str]:
    bus = _choice(spec, "hw_disk_bus", "virtio", _DISK_BUSES)
    argv: list[str] = []
    if bus == "scsi":
        argv += ["-device", "virtio-scsi-pci,id=scsi0,bus=pcie.0,addr=0xf"]
    nodes = [f.node for f in files_of(spec)]
    root = next((volume for volume in spec.volumes if volume.boot), None)
    if root is not None:
        argv += _volume_blockdevs(root, launch)
        nodes.insert(0, volume_node(root.volume_id))
    for file in files_of(spec):
        argv += _blockdevs(file)
    if launch.config_drive:
        argv += _blockdev({**_file("../config.iso"), "node-name": "config-file", "read-only": True})
        argv += _blockdev({"driver": "raw", "node-name": "config", "read-only": True, "file": "config-file"})
        nodes.append("config")
    for place, node in enumerate(nodes):
        device = _disk_device(node, bus, place)
        if root is not None and place == 0:
            device |= {"id": volume_device_id(root.volume_id), "serial": root.volume_id[:20], "bootindex": 0}
        argv += ["-device", json.dumps(device)]
    return argv


def _volumes(spec: GuestSpec, launch: Launch) -> list[str]:
    """All but the one that is booted from, which is a disk like the local ones: it never leaves a running guest."""
    argv: list[str] = []
    for volume in spec.volumes:
        if not volume.boot:
            argv += _volume_blockdevs(volume, launch)
            argv += ["-device", json.dumps(volume_device(volume, launch.slots[volume.volume_id], spec))]
    return argv


def _volume_blockdevs(volume: VolumeDisk, launch: Launch) -> list[str]:
    fd = launch.volumes[volume.volume_id]
    argv = ["-add-fd", f"fd={fd},set={fd},opaque={volume_device_id(volume.volume_id)}"]
    for node in volume_nodes(volume, fd):
        argv += _blockdev(node)
    return argv


def _blockdevs(file: DiskFile) -> list[str]:
    argv: list[str] = []
    node: dict[str, object] = {"driver": "qcow2", "node-name": file.node, "file": f"{file.node}-file"}
    # The backing file is named here, so that QEMU never follows the name inside the overlay.
    node["backing"] = None
    if file.base is not None:
        argv += _blockdev({**_file(file.base), "node-name": f"{file.node}-base-file", "read-only": True})
        argv += _blockdev(
            {
                "driver": file.base_format,
                "node-name": f"{file.node}-base",
                "read-only": True,
                "file": f"{file.node}-base-file",
                **({"backing": None} if file.base_format == "qcow2" else {}),
            }
        )
        node["backing"] = f"{file.node}-base"
    argv += _blockdev({**_file(file.name), "node-name": f"{file.node}-file", "discard": "unmap"})
    return argv + _blockdev({**node, "discard": "unmap"})


def _file(name: str) -> dict[str, object]:
    return {"driver": "file", "filename": name}


def _blockdev(node: dict[str, object]) -> list[str]:
    return ["-blockdev", json.dumps(node)]


def _disk_device(node: str, bus: str, place: int) -> dict[str, object]:
    device: dict[str, object] = {"id": f"disk-{node}", "drive": node}
    if node == "root":
        device["bootindex"] = 0
    if bus == "scsi":
        return {**device, "driver": "scsi-hd", "bus": "scsi0.0", "lun": place}
    if bus == "sata":
        if place > 5:
            raise GuestFailed("A guest with SATA disks can have at most six.")
        # A disk on this bus can't be read-only, a CD-ROM drive can.
        return {**device, "driver": "ide-cd" if node == "config" else "ide-hd", "bus": f"ide.{place}"}
    if _FIRST_DISK_ADDR + place > 0xE:
        raise GuestFailed("A guest can have at most eleven local disks.")
    return {**device, "driver": "virtio-blk-pci", "bus": "pcie.0", "addr": f"{_FIRST_DISK_ADDR + place:#x}"}


def _nics(spec: GuestSpec, launch: Launch) -> list[str]:
    argv: list[str] = []
    for port in spec.ports:
        fd = launch.taps[port.port_id]
        argv += ["-netdev", f"tap,id={netdev_id(port.port_id)},fd={fd}"]
        argv += ["-device", json.dumps(nic(port, launch.slots[port.port_id], spec))]
    return argv


def _confinement(launch: Launch) -> list[str]:
    # Forbidding setuid would forbid -runas itself; without capabilities afterwards, and started
    # with no-new-privs (process.py), it has nothing to gain from the call.
    elevate = "allow" if launch.owner is not None else "deny"
    sandbox = f"on,obsolete=deny,elevateprivileges={elevate},spawn=deny,resourcecontrol=deny"
    argv = ["-sandbox", sandbox]
    if launch.owner is not None:
        argv += ["-runas", f"{launch.owner}:{launch.owner}"]
    return argv


def _choice(spec: GuestSpec, name: str, default: str, known: set[str]) -> str:
    value = spec.properties.get(name, default)
    if value not in known:
        raise GuestFailed(f"{name}={value} is not possible here; use one of {', '.join(sorted(known))}.")
    return value
