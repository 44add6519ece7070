# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can run the native engine, found by trying it in a scratch namespace.

Used by engine.py at start. Reading versions and configuration files tells less than trying: each
refusal names what is missing and the remedy.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from skyhold.network.drivers.base import Capabilities, EngineUnavailable
from skyhold.network.drivers.native import names, netns, rules_ports, rules_routers, tap
from skyhold.network.drivers.native.netfilter import Netfilter
from skyhold.network.drivers.native.nft import NftError, NftShell, whole
from skyhold.network.drivers.native.space import Space, prepare


def capabilities() -> Capabilities:
    """Raises EngineUnavailable with a sentence and a remedy. Takes about 50 ms."""
    _require_programs()
    _require_devices()
    cloud = names.CloudNames("scratch " + secrets.token_hex(8))
    try:
        netns.create(cloud.plane)
    except Exception as error:
        raise EngineUnavailable(
            f"Namespaces can't be made here ({error}). "
            "Run the host agent as root, outside restricted containers."
        ) from error
    try:
        return _try_all(cloud)
    finally:
        with contextlib.suppress(Exception):
            netns.remove(cloud.plane)


def _require_programs() -> None:
    for program, package in (("nft", "nftables"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            raise EngineUnavailable(f"The program {program} is missing. Install the package {package}.")


def _require_devices() -> None:
    if os.geteuid() != 0:
        raise EngineUnavailable("The native network engine needs root. Start the host agent as root.")
    if not Path(tap.TUN).exists():
        raise EngineUnavailable(
            f"{tap.TUN} is missing. Load the kernel module: modprobe tun; in a container, pass the device in."
        )
    if not os.access(tap.TUN, os.R_OK | os.W_OK):
        raise EngineUnavailable(f"{tap.TUN} can't be opened. Allow it: chmod 0666 {tap.TUN}")


def _try_all(cloud: names.CloudNames) -> Capabilities:
    try:
        space = Space(cloud.plane, None)
    except OSError as error:
        raise EngineUnavailable(f"Namespaces can't be entered: {error.strerror}. Run as root.") from error
    try:
        _try_links(space)
        _try_settings(space, cloud)
        _try_rules(space.shell)
        _try_conntrack(space.netfilter)
    finally:
        space.close()
    return Capabilities(engine="native", ipv6=Path("/proc/sys/net/ipv6").exists(), notes=_notes())


def _try_links(space: Space) -> None:
    try:
        space.links.add_bridge("probe-bridge", 1500)
        space.links.add_veth("probe-veth", "probe-far", space.fd, 1500)
        with netns.inside(space.fd):
            tap.create("probe-tap")
    except OSError as error:
        raise EngineUnavailable(
            f"The kernel refuses a bridge, veth or tap ({error.strerror}). "
            "Load the modules: modprobe -a bridge veth tun"
        ) from error


def _try_settings(space: Space, cloud: names.CloudNames) -> None:
    try:
        prepare(space, cloud)
    except OSError as error:
        raise EngineUnavailable(
            f"A kernel setting can't be written ({error}). "
            "Load the modules: modprobe -a br_netfilter nf_conntrack"
        ) from error


def _try_rules(shell: NftShell) -> None:
    try:
        shell.run(whole([rules_ports.base()]))
        shell.run(whole([rules_routers.router(None)]))
    except NftError as error:
        raise EngineUnavailable(
            f"nft refuses the rules ({str(error)[:200]}). Needs nftables 1.0.6 or later and a kernel with "
            "nf_tables for the bridge and inet families, NAT and conntrack zones."
        ) from error


def _try_conntrack(netfilter: Netfilter) -> None:
    try:
        netfilter.flows()
    except OSError as error:
        raise EngineUnavailable(
            f"Connections can't be listed ({error.strerror}). Load the module: modprobe nf_conntrack_netlink"
        ) from error


def _notes() -> list[str]:
    notes = ["one host only: no tunnels between machines", "a bridge per network: no VLAN trunks"]
    chain = ["nft", "list", "chain", "ip", "filter", "FORWARD"]
    if "policy drop" in subprocess.run(chain, capture_output=True, text=True, check=False).stdout:
        notes.append(
            "another program's firewall drops what this machine forwards: guests get out only once its "
            "FORWARD chain accepts the links named sk*"
        )
    return notes
