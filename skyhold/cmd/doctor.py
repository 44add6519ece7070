# SPDX-License-Identifier: Apache-2.0
"""`skyhold doctor`: looks at this machine and says what a cloud would miss, each with its remedy.

Mending is left to the reader (or to script/up); what a running cloud does is told by `skyhold admin`.
Nothing is believed that can be tried: a feature counts when it worked in a scratch network namespace.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from skyhold.cmd import listeners
from skyhold.core.settings.whole import Settings

IPv4Range = ipaddress.IPv4Network

MINIMUM_PYTHON = (3, 11)
DISK_NEEDED_MB = 2048
DISK_NEEDED_FAKE_MB = 32
RAM_NEEDED_MB = 1024
RAM_NEEDED_FAKE_MB = 300

PROGRAMS = {
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
}
QEMU_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
}

# The least of what the native engine loads: marks by port before br_netfilter, zones and translation.
NFT_TRIAL = """
table bridge trial {
  map ports { type ifname : mark; }
  chain pre { type filter hook prerouting priority -10; meta mark set iifname map @ports; }
}
table inet trial {
  map zones { typeof iifname : ct zone; }
  chain zone { type filter hook prerouting priority -300; ct zone set iifname map @zones; }
  chain forward { type filter hook forward priority 0; ct state established,related accept; }
  chain post { type nat hook postrouting priority 100; oifname "none" masquerade; }
}
"""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. `sentence` says what is; `remedy` what to do, empty when all is well.

    What isn't `needed` may be wrong and the cloud still starts.
    """

    name: str
    ok: bool
    sentence: str
    remedy: str = ""
    needed: bool = True


class Machine:
    """What the checks ask of a machine; tests put another in its place."""

    def user_id(self) -> int:
        return os.geteuid()

    def python_version(self) -> tuple[int, int]:
        return sys.version_info[:2]

    def now_s(self) -> float:
        return time.time()

    def program(self, name: str) -> str | None:
        return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")

    def open_error(self, path: str) -> OSError | None:
        """Why a device can't be opened for reading and writing; None when it can."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            return error
        return None

    def run_error(self, *command: str, stdin: str = "") -> str | None:
        """The last words of a command that failed; None when it went well."""
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        words = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        return words[-1] if done.returncode else None

    def accelerator(self) -> tuple[str, str]:
        """What a vCPU loop shows to be best, and the reason."""
        from skyhold.compute.drivers.qemu import accelerator

        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(accelerator.choose("auto", Path(folder) / "accelerator"))
        return found.name, found.reason

    def free_disk_mb(self, path: Path) -> int:
        return shutil.disk_usage(_nearest(path)).free // 2**20

    def free_ram_mb(self) -> int:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
        raise OSError(errno.ENOENT, "/proc/meminfo has no MemAvailable")

    def bind_error(self, host: str, port: int) -> OSError | None:
        """Why an address can't be listened on; None when it can."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen(1)
            except OSError as error:
                return error
        return None

    def routes(self) -> list[tuple[IPv4Range, str]]:
        """(destination, device) of every IPv4 route but the default ones."""
        out = subprocess.run(
            [self.program("ip") or "ip", "-j", "-4", "route", "show", "table", "all"],
            capture_output=True,
            check=True,
            timeout=10,
        ).stdout
        rows = json.loads(out or b"[]")
        return [(IPv4Range(row["dst"]), row.get("dev", "")) for row in rows if row["dst"] != "default"]


def checks(settings: Settings, machine: Machine | None = None) -> list[Check]:
    """Everything worth knowing before a cloud with these settings starts, in reading order.

    What the settings don't use is left out: a fake hypervisor asks for no QEMU and no root.
    """
    machine = machine or Machine()
    found: list[Check] = []
    for about, look in _plan(settings, machine):
        try:
            found += look()
        except Exception as error:  # a look that breaks is a finding, and must not hide the others
            found.append(_wrong(about, f"This could not be looked at: {error!r}.", "Report it, please."))
    return found


def run(settings: Settings, as_json: bool = False) -> int:
    """Print the findings; 1 when something that is needed is wrong, else 0."""
    found = checks(settings)
    if as_json:
        print(json.dumps([msgspec.to_builtins(check) for check in found], indent=2))
    else:
        print(f"Skyhold on {platform.node()}, state in {settings.home}\n")
        print(table(found))
    return 1 if any(check.needed and not check.ok for check in found) else 0


def table(found: list[Check]) -> str:
    """One line per finding, the remedy below it, and a last line that sums up."""
    width = max(len(check.name) for check in found)
    lines = []
    for check in found:
        sign = "OK" if check.ok else "!!" if check.needed else "??"
        lines.append(f"{sign}  {check.name:{width}}  {check.sentence}")
        if not check.ok and check.remedy:
            lines.append(f"    {'':{width}}  -> {check.remedy}")
    return "\n".join([*lines, "", _summary(found)])


def _summary(found: list[Check]) -> str:
    wrong = [check for check in found if check.needed and not check.ok]
    if not wrong:
        return "This machine is ready."
    return f"{len(wrong)} thing{'s' if len(wrong) > 1 else ''} to mend: {', '.join(c.name for c in wrong)}."


def _plan(settings: Settings, machine: Machine) -> Iterator[tuple[str, Callable[[], list[Check]]]]:
    native, qemu = settings.host.network == "native", settings.host.hypervisor == "qemu"
    yield "python", lambda: _python(machine)
    if native or qemu:
        yield "root", lambda: _root(machine)
    if native:
        yield "/dev/net/tun", lambda: _tun(machine)
        yield "programs", lambda: _programs(machine, PROGRAMS)
        yield "kernel", lambda: _kernel(machine)
    if qemu:
        yield "qemu", lambda: _programs(machine, QEMU_PROGRAMS)
        yield "accelerator", lambda: _accelerator(settings, machine)
    yield "disk", lambda: _disk(settings, machine)
    yield "memory", lambda: _memory(machine, RAM_NEEDED_MB if qemu else RAM_NEEDED_FAKE_MB)
    yield "port", lambda: _port(settings, machine)
    yield "clock", lambda: _clock(settings, machine)
    yield "state directory", lambda: _state(settings, machine)
    if native:
        yield "external range", lambda: _external_range(settings, machine)


def _right(name: str, sentence: str) -> Check:
    return Check(name=name, ok=True, sentence=sentence)


def _wrong(name: str, sentence: str, remedy: str, *, needed: bool = True) -> Check:
    return Check(name=name, ok=False, sentence=sentence, remedy=remedy, needed=needed)


def _python(machine: Machine) -> list[Check]:
    have = machine.python_version()
    text = ".".join(map(str, have))
    if have >= MINIMUM_PYTHON:
        return [_right("python", f"Python {text}.")]
    return [_wrong("python", f"Python {text} is too old.", "Install Python 3.11 or newer.")]


def _root(machine: Machine) -> list[Check]:
    if machine.user_id() == 0:
        return [_right("root", "You are root.")]
    remedy = "Run as root (sudo), or without guests: script/up --fake."
    return [_wrong("root", "Networks of guests need root, which you are not.", remedy)]


def _tun(machine: Machine) -> list[Check]:
    error = machine.open_error("/dev/net/tun")
    if error is None:
        return [_right("/dev/net/tun", "Guests can have network interfaces.")]
    remedies = {
        errno.ENOENT: "modprobe tun; in a container, pass the device in (--device /dev/net/tun).",
        errno.EACCES: "Run as root.",
        errno.EPERM: "Allow the container to use the device (10:200).",
    }
    remedy = remedies.get(error.errno or 0, "modprobe tun.")
    return [_wrong("/dev/net/tun", f"It can't be opened: {error.strerror}.", remedy)]


def _programs(machine: Machine, wanted: dict[str, str]) -> list[Check]:
    return [_program(machine, name, package) for name, package in wanted.items()]


def _program(machine: Machine, name: str, package: str) -> Check:
    place = machine.program(name)
    if place:
        return _right(name, f"{place}.")
    return _wrong(name, "This program is missing.", f"apt-get install -y {package}")


def _kernel(machine: Machine) -> list[Check]:
    if machine.user_id() != 0:
        return [_wrong("kernel", "Not tried: that takes root.", "Run the doctor as root.", needed=False)]
    ip, nft = machine.program("ip"), machine.program("nft")
    if not ip or not nft:
        return [_wrong("kernel", "Not tried: ip or nft is missing.", "See above.", needed=False)]
    space = f"skyhold-doctor-{secrets.token_hex(4)}"
    error = machine.run_error(ip, "netns", "add", space)
    if error:
        remedy = "In a container, allow it to make network namespaces (--privileged)."
        return [_wrong("kernel", f"No network namespace can be made: {error}.", remedy)]
    try:
        return [_right("namespace", "Network namespaces work."), *_trials(machine, ip, nft, space)]
    finally:
        machine.run_error(ip, "netns", "del", space)


def _trials(machine: Machine, ip: str, nft: str, space: str) -> Iterator[Check]:
    """Each thing the native engine is made of, tried inside the namespace `space`."""
    inside = (ip, "netns", "exec", space)
    link = (ip, "-n", space, "link", "add")
    yield _trial("bridge", machine.run_error(*link, "b0", "type", "bridge"), "modprobe bridge")
    yield _trial(
        "br_netfilter",
        machine.run_error(*inside, "cat", "/proc/sys/net/bridge/bridge-nf-call-iptables"),
        "modprobe br_netfilter && echo br_netfilter > /etc/modules-load.d/skyhold.conf",
    )
    yield _trial(
        "veth", machine.run_error(*link, "v0", "type", "veth", "peer", "name", "v1"), "modprobe veth"
    )
    tap = machine.run_error(ip, "-n", space, "tuntap", "add", "t0", "mode", "tap")
    yield _trial("tap", tap, "modprobe tun")
    rules = machine.run_error(*inside, nft, "-f", "-", stdin=NFT_TRIAL)
    yield _trial("nf_tables", rules, "A kernel with nf_tables for bridges, zones and NAT (Debian's has it).")


def _trial(name: str, error: str | None, remedy: str) -> Check:
    return (
        _wrong(name, f"The kernel refused it: {error}.", remedy) if error else _right(name, "Tried, works.")
    )


def _accelerator(settings: Settings, machine: Machine) -> list[Check]:
    wish = settings.host.virt_type
    if wish == "tcg":
        return [_right("accelerator", "tcg: set by the operator.")]
    name, reason = machine.accelerator()
    if wish == "kvm" and name != "kvm":
        sentence = f"host.virt_type is kvm, but guests would hang: {reason}."
        return [_wrong("accelerator", sentence, 'Set host.virt_type to "auto".')]
    return [_right("accelerator", f"{name}: {reason}.")]


def _disk(settings: Settings, machine: Machine) -> list[Check]:
    free = machine.free_disk_mb(settings.home)
    place = _nearest(settings.home)
    needed = DISK_NEEDED_FAKE_MB if settings.host.hypervisor == "fake" else DISK_NEEDED_MB
    if free >= needed:
        return [_right("disk", f"{free / 1024:.1f} GiB free at {place}.")]
    remedy = f"Free {needed - free} MiB there, or set SKYHOLD_HOME to a larger disk."
    return [_wrong("disk", f"Only {free} MiB free at {place}; {needed} are needed.", remedy)]


def _memory(machine: Machine, needed_mb: int) -> list[Check]:
    free = machine.free_ram_mb()
    if free >= needed_mb:
        return [_right("memory", f"{free / 1024:.1f} GiB available.")]
    return [_wrong("memory", f"Only {free} MiB available; {needed_mb} are needed.", "End other programs.")]


def _port(settings: Settings, machine: Machine) -> list[Check]:
    host, port = settings.http.host, settings.http.port
    error = machine.bind_error(host, port)
    if error is None:
        return [_right("port", f"{host} port {port} is free.")]
    if error.errno == errno.EADDRINUSE:
        return [_port_taken(settings)]
    remedy = "Set http.host to an address of this machine, and http.port to one above 1023."
    return [_wrong("port", f"{host} port {port} can't be listened on: {error.strerror}.", remedy)]


def _port_taken(settings: Settings) -> Check:
    port = settings.http.port
    holder = listeners.holder(port)
    if holder and holder & listeners.own_processes(settings.run_dir):
        return _right("port", f"This cloud is running on port {port}.")
    who = f" by process {min(holder)} ({listeners.command(min(holder))})" if holder else ""
    remedy = f"End it, or choose another port: script/up --port {port + 1}."
    return _wrong("port", f"Port {port} is taken{who}.", remedy)


def _clock(settings: Settings, machine: Machine) -> list[Check]:
    now = machine.now_s()
    places = [Path(__file__), settings.home / "skyhold.db"]
    newest = max(path.stat().st_mtime for path in places if path.exists())
    if now >= newest - 60:
        return [_right("clock", f"It is {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC.")]
    sentence = f"The clock is {(newest - now) / 60:.0f} minutes behind files written earlier."
    return [_wrong("clock", sentence, "Set the clock (timedatectl set-ntp true): tokens go by it.")]


def _state(settings: Settings, machine: Machine) -> list[Check]:
    home = settings.home
    if not home.exists():
        return [_state_to_be(home)]
    status, user = home.stat(), machine.user_id()
    if not home.is_dir():
        return [_wrong("state directory", f"{home} is no directory.", "Set SKYHOLD_HOME to another place.")]
    if status.st_uid != user:
        remedy = f"Run as that user, or: chown -R {user} {home}"
        return [_wrong("state directory", f"{home} belongs to user {status.st_uid}, not to you.", remedy)]
    if status.st_mode & 0o077:
        sentence = f"Others may look into {home}, where keys and tokens are."
        return [_wrong("state directory", sentence, f"chmod 700 {home}")]
    return [_right("state directory", f"{home} is yours alone.")]


def _state_to_be(home: Path) -> Check:
    parent = _nearest(home)
    if os.access(parent, os.W_OK | os.X_OK):
        return _right("state directory", f"{home} will be made at first start.")
    remedy = "Run as root, or set SKYHOLD_HOME to a place of your own."
    return _wrong("state directory", f"{home} can't be made: {parent} is not yours to write.", remedy)


def _external_range(settings: Settings, machine: Machine) -> list[Check]:
    if not settings.network.external_cidr:
        return [_right("external range", "A free one will be chosen for floating IPs.")]
    try:
        wanted = ipaddress.IPv4Network(settings.network.external_cidr)
    except ValueError as error:
        remedy = "Write it like 198.18.7.0/24, with zeros after the prefix."
        return [_wrong("external range", f"network.external_cidr can't be used: {error}.", remedy)]
    clash = overlap(wanted, machine.routes())
    if clash is None:
        return [_right("external range", f"{wanted} overlaps none of the host's routes.")]
    sentence = f"{wanted} overlaps the host's route to {clash[0]} (device {clash[1]})."
    # A running cloud has itself put a route to the range here.
    if clash[0] == wanted and listeners.own_processes(settings.run_dir):
        return [_right("external range", f"{wanted} is routed to {clash[1]} by this cloud.")]
    return [
        _wrong("external range", sentence, "Set network.external_cidr to a free range, or leave it empty.")
    ]


def overlap(wanted: IPv4Range, routes: list[tuple[IPv4Range, str]]) -> tuple[IPv4Range, str] | None:
    """The widest route that shares an address with `wanted`, with its device."""
    shared = [route for route in routes if route[0].overlaps(wanted)]
    return min(shared, key=lambda route: route[0].prefixlen, default=None)


def _nearest(path: Path) -> Path:
    """`path`, or the first of its parents that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
