# SPDX-License-Identifier: Apache-2.0
"""One run of Tempest: which tests, its configuration, its workers, and what became of each test.

The cloud under test is cloud.py; reading the result stream is stream.py, which runs in the suite's own
environment. Whatever was asked for and gave no result counts as failed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = HERE.parents[2] / ".venv-conformance" / "bin"

AREAS = {
    "identity": "tempest.api.identity.",
    "image": "tempest.api.image.",
    "network": "tempest.api.network.",
    "compute": "tempest.api.compute.",
    "volume": "tempest.api.volume.",
    "object-storage": "tempest.api.object_storage.",
    "scenario": "tempest.scenario.",
    "serial": "tempest.serial_tests.",
}
TELL_EVERY_S = 30.0
TEST_TIMEOUT_S = 300


@dataclass(frozen=True)
class Plan:
    """How to run: the configuration with its placeholders and their values, workers, time in seconds.

    Without real `guests` nothing answers SSH: what logs in is skipped in place of waiting in vain.
    `smoke` leaves out what the suite doesn't tag as such.
    """

    configuration: str
    values: Mapping[str, str]
    workers: int
    limit_s: float
    guests: bool
    smoke: bool = False


@dataclass(frozen=True)
class Outcome:
    """`verdict` is passed, failed or skipped; `words` the traceback or the reason of the skip."""

    verdict: str
    words: str = ""
    seconds: float = 0.0


def tests_of(area: str, suites: Path) -> list[str]:
    names = (suites / "tempest-core.txt").read_text().split()
    return [name for name in names if name.startswith(AREAS[area])]


def run(folder: Path, wanted: list[str], plan: Plan) -> dict[str, Outcome]:
    """What became of each wanted test. `folder` is emptied; it holds the logs afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "etc").mkdir(parents=True)
    (folder / "logs").mkdir()
    write_configuration(folder, plan)
    full_ids = discovered(folder)
    if plan.smoke:
        wanted = [name for name in wanted if "smoke" in tags(full_ids.get(name, ""))]
    (folder / "tests.txt").write_text("".join(f"{full_ids[name]}\n" for name in wanted if name in full_ids))
    return settle(wanted, results(folder, plan, len(wanted)))


def count(area: str, outcomes: Mapping[str, Outcome]) -> str:
    of = Counter(outcome.verdict for outcome in outcomes.values())
    return f"{area}: {of['passed']} passed, {of['failed']} failed, {of['skipped']} skipped"


# ---- configuration ---------------------------------------------------------------------------


def write_configuration(folder: Path, plan: Plan) -> None:
    text = plan.configuration
    for name, value in {**plan.values, "DIR": str(folder)}.items():
        text = text.replace(f"@{name}@", value)
    left = [line for line in text.splitlines() if "@" in line and not line.lstrip().startswith("#")]
    if left:
        sys.exit(f"Nothing fills these lines of tempest.conf.in: {left}")
    # Requests and answers are logged at this level only; no test asks for it.
    text = text.replace("[DEFAULT]\n", "[DEFAULT]\ndebug = True\n", 1)
    if not plan.guests:
        text = text.replace("run_validation = True", "run_validation = False")
    (folder / "etc" / "tempest.conf").write_text(text)
    discovery = suite_package() / "test_discover"
    (folder / ".stestr.conf").write_text(
        f"[DEFAULT]\ntest_path={discovery}\ntop_dir={suite_package().parent}\ngroup_regex=([^\\.]*\\.)*\n"
    )


def suite_package() -> Path:
    return next((BIN.parent / "lib").glob("python3*/site-packages/tempest"))


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "", "HOME": str(folder),
        "TEMPEST_CONFIG_DIR": str(folder / "etc"), "TEMPEST_CONFIG": "tempest.conf",
        "OS_TEST_TIMEOUT": str(TEST_TIMEOUT_S), "OS_LOG_CAPTURE": "0", "OS_STDOUT_CAPTURE": "1",
    }


# ---- running ---------------------------------------------------------------------------------


def discovered(folder: Path) -> dict[str, str]:
    """The suite's own name of each test, which ends with its tags in brackets, by the bare one."""
    subprocess.run([BIN / "stestr", "init"], cwd=folder, env=environment(folder), capture_output=True, check=False)
    done = subprocess.run(
        [BIN / "stestr", "list"], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"The suite can't list its tests:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return {bare(line): line for line in done.stdout.split("\n") if line.startswith("tempest.")}


def bare(name: str) -> str:
    return name.split("[", 1)[0].strip()


def tags(full_id: str) -> set[str]:
    return set(full_id.partition("[")[2].rstrip("]").split(","))


def results(folder: Path, plan: Plan, total: int) -> dict[str, Outcome]:
    """Outcomes by name, also of `setUpClass (class)`, as they come; ends everything at the limit."""
    command = [
        BIN / "stestr", "run", "--subunit", "--concurrency", str(plan.workers), "--load-list", folder / "tests.txt",
    ]
    with (folder / "stestr.log").open("wb") as log:
        runner = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        reader = subprocess.Popen(
            [BIN / "python", HERE / "stream.py"], stdin=runner.stdout, stdout=subprocess.PIPE, text=True
        )
        assert runner.stdout is not None and reader.stdout is not None
        runner.stdout.close()
        guard = threading.Timer(plan.limit_s, end_group, [runner])
        guard.daemon = True
        guard.start()
        try:
            return collected(reader.stdout, total)
        finally:
            guard.cancel()
            end_group(runner)
            runner.wait()
            reader.wait()


def end_group(runner: subprocess.Popen[bytes]) -> None:
    """Ends the runner and the workers it started, which share its session."""
    if runner.poll() is None:
        os.killpg(runner.pid, signal.SIGKILL)


def collected(lines: Iterable[str], total: int) -> dict[str, Outcome]:
    seen: dict[str, Outcome] = {}
    told = time.monotonic()
    for line in lines:
        one = json.loads(line)
        seen[bare(one["name"])] = Outcome(one["verdict"], one["words"], one["seconds"])
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"..  of {total} tests: {count('so far', seen)}", file=sys.stderr, flush=True)
    return seen


def settle(wanted: Iterable[str], seen: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """One outcome for each wanted test: a class whose preparation ended badly speaks for all its tests."""
    classes = {
        name.split("(", 1)[1].rstrip(")"): outcome for name, outcome in seen.items() if name.startswith("setUpClass (")
    }
    nothing = Outcome("failed", "The run ended without a result of this test.")
    return {name: seen.get(name) or classes.get(name.rsplit(".", 1)[0]) or nothing for name in wanted}
