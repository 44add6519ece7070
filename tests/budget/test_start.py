# SPDX-License-Identifier: Apache-2.0
"""What starting may cost: CPU time of the command, and modules that a process has no use for.

How long the whole cloud takes to start is measured by script/bench. Each test looks at a fresh
interpreter, for this one has loaded everything already.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

HELP_CPU_S = 0.3
CONTROL_PLANE = """
import asyncio, sys
from pathlib import Path
from skyhold.core.settings.whole import Settings

async def start(home):
    from skyhold.cmd.compose import control_plane
    import skyhold.cmd.serve
    from skyhold.core.http.server import make_server
    from skyhold.identity import facade as identity
    core = control_plane(Settings(home=home))
    await core.start()
    await identity.bootstrap(core, password="a-long-password")
    make_server(core, core.asgi)
    await core.stop()

asyncio.run(start(Path(sys.argv[1])))
print(*sys.modules)
"""
HOST = """
import sys
from pathlib import Path
from skyhold.cmd import host
from skyhold.core.settings.sections import Host
from skyhold.core.settings.whole import Settings
from skyhold.host.machine import Machine
Machine(Settings(home=Path(sys.argv[1]), host=Host(hypervisor="fake", network="fake")))
print(*sys.modules)
"""
# rich is not among them: structlog takes it where it is installed, and only the developers' tools install it.
OTHER_DATABASES = {"asyncpg", "asyncmy", "alembic"}
REAL_DRIVERS = {"pyroute2", "qemu", "pycdlib"}
OF_HOSTS = {"skyhold.host", "skyhold.compute.drivers.qemu.driver", "skyhold.network.drivers.native.engine"}
OF_CONTROL_PLANE = {"sqlalchemy", "falcon", "uvicorn", "nacl", "skyhold.identity", "skyhold.compute.tables"}


def modules_after(program: str, home: Path) -> set[str]:
    done = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return set(done.stdout.splitlines()[-1].split())


def loaded(modules: set[str], unwanted: set[str]) -> set[str]:
    return {name for name in unwanted if name in modules or any(one.startswith(name + ".") for one in modules)}


def test_the_control_plane_loads_nothing_that_waits_for_its_first_use(tmp_path: Path) -> None:
    modules = modules_after(CONTROL_PLANE, tmp_path)
    assert "skyhold.compute.service" in modules
    assert loaded(modules, OTHER_DATABASES | REAL_DRIVERS | OF_HOSTS | {"oslo_utils", "os_traits", "aiohttp"}) == set()


def test_a_fake_host_loads_no_real_driver_and_nothing_of_the_control_plane(tmp_path: Path) -> None:
    modules = modules_after(HOST, tmp_path)
    assert "skyhold.host.agent" in modules
    assert loaded(modules, OTHER_DATABASES | OF_CONTROL_PLANE | REAL_DRIVERS | {"oslo_utils"}) == set()


@pytest.mark.parametrize("words", [["--help"], ["up", "--help"], ["settings", "--help"]])
def test_the_command_answers_at_once(words: list[str]) -> None:
    """CPU time, the least of three: it says nothing about how busy the machine is."""
    assert min(cpu_s(["-m", "skyhold", *words]) for _ in range(3)) < HELP_CPU_S


def test_help_loads_no_service() -> None:
    program = "import sys, skyhold.cmd.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert loaded(modules, {"sqlalchemy", "falcon", "skyhold.core.app", "skyhold.identity", "skyhold.host"}) == set()


def cpu_s(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
