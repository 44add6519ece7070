# SPDX-License-Identifier: Apache-2.0
"""The demo project's first server: a key, a security group, a floating IP, and the line to log in.

What it stands on is made by prepare.py. With real guests this waits until SSH answers, so that
the line it prints works.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

from skyhold.cmd.client import Client
from skyhold.cmd.problems import NotUp
from skyhold.cmd.progress import Progress
from skyhold.core.settings.whole import Settings

ACTIVE_S = 120.0
SSH_S = 180.0
USER = "tiny"


def run(settings: Settings, demo: Client, say: Progress) -> None:
    images = demo.get("/image/v2/images?name=tiny&status=active")["images"]
    if not images:
        return
    key = keypair(settings, demo)
    security_group(demo)
    server = find(demo) or create(demo, images[0]["id"])
    with say.step("Booting the server `first`"):
        server = until_rest(demo, server["id"])
        if server["status"] == "SHUTOFF":
            # It was shut off with the cloud; the line printed at the end must work again.
            demo.post(f"/compute/v2.1/servers/{server['id']}/action", {"os-start": None})
            server = until_rest(demo, server["id"])
    address = floating_ip(demo, server)
    say.done(f"Server `first` is {server['status']}, floating IP {address}")
    if settings.host.hypervisor == "fake":
        return
    with say.step("Waiting for SSH"):
        until_ssh(address)
    print(f"ssh -i {key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {USER}@{address}")


def keypair(settings: Settings, demo: Client) -> Path:
    """An ed25519 key made here; only its public half goes to the cloud."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = settings.home / "first.pem"
    if not path.exists():
        text = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        path.touch(mode=0o600)
        path.write_bytes(text)
    if not any(pair["keypair"]["name"] == "first" for pair in demo.get("/compute/v2.1/os-keypairs")["keypairs"]):
        private = serialization.load_ssh_private_key(path.read_bytes(), None)
        public = private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        demo.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "first", "public_key": public.decode()}})
    return path


def security_group(demo: Client) -> None:
    if demo.get("/network/v2.0/security-groups?name=first")["security_groups"]:
        return
    wish = {"name": "first", "description": "Ping and SSH from anywhere"}
    group = demo.post("/network/v2.0/security-groups", {"security_group": wish})["security_group"]
    common = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4"}
    for rule in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
        demo.post("/network/v2.0/security-group-rules", {"security_group_rule": common | rule})


def find(demo: Client) -> dict[str, Any] | None:
    servers = demo.get("/compute/v2.1/servers/detail?name=first")["servers"]
    return next((server for server in servers if server["name"] == "first"), None)


def create(demo: Client, image_id: str) -> dict[str, Any]:
    network = demo.get("/network/v2.0/networks?name=private")["networks"][0]
    flavor = next(f for f in demo.get("/compute/v2.1/flavors")["flavors"] if f["name"] == "m1.nano")
    wish = {
        "name": "first", "imageRef": image_id, "flavorRef": flavor["id"], "key_name": "first",
        "networks": [{"uuid": network["id"]}], "security_groups": [{"name": "first"}],
    }
    made: dict[str, Any] = demo.post("/compute/v2.1/servers", {"server": wish})["server"]
    return made


def until_rest(demo: Client, server_id: str) -> dict[str, Any]:
    """The server at rest; one in ERROR is told with its reason."""
    end = time.monotonic() + ACTIVE_S
    while True:
        server: dict[str, Any] = demo.get(f"/compute/v2.1/servers/{server_id}")["server"]
        if server["status"] != "BUILD" and server["OS-EXT-STS:task_state"] is None:
            break
        if time.monotonic() > end:
            raise NotUp(f"The server `first` is still {server['status']} after {ACTIVE_S:g} s.")
        time.sleep(0.1)
    if server["status"] == "ERROR":
        raise NotUp(f"The server `first` is in ERROR: {server.get('fault', {}).get('message', 'no reason given')}")
    return server


def floating_ip(demo: Client, server: dict[str, Any]) -> str:
    for entries in server["addresses"].values():
        for entry in entries:
            if entry["OS-EXT-IPS:type"] == "floating":
                return str(entry["addr"])
    public = demo.get("/network/v2.0/networks?name=public")["networks"][0]
    port = demo.get(f"/network/v2.0/ports?device_id={server['id']}")["ports"][0]
    wish = {"floating_network_id": public["id"], "port_id": port["id"]}
    made = demo.post("/network/v2.0/floatingips", {"floatingip": wish})["floatingip"]
    return str(made["floating_ip_address"])


def until_ssh(address: str) -> None:
    """Until the guest's SSH server says its banner."""
    end = time.monotonic() + SSH_S
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, 22), timeout=5) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.2)
    raise NotUp(f"The server `first` does not answer SSH at {address} after {SSH_S:g} s; see its console log.")
