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
WEIGHS_MOST = ("failed", "passed", "skipped")
TEST_TIMEOUT_S = 300


@dataclass(frozen=True)
class Plan:
    """How to run: the configuration with its placeholders and their values, workers, time in seconds.

    Without real `guests` nothing answers SSH: what logs in is skipped in place of waiting in vain.
    `smoke` leaves out what the suite doesn't tag as such. `formats` is the manifest of formats.py.
    """

    configuration: str
    values: Mapping[str, str]
    workers: int
    limit_s: float
    guests: bool
    formats: Path
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
        wanted = [name for name in wanted if any("smoke" in tags(full_id) for full_id in full_ids.get(name, []))]
    chosen = [full_id for name in wanted for full_id in full_ids.get(name, [])]
    (folder / "tests.txt").write_text("".join(f"{full_id}\n" for full_id in chosen))
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
    text = added(text, "DEFAULT", "debug = True")
    text = added(text, "image", f"images_manifest_file = {plan.formats}")
    if not plan.guests:
        text = text.replace("run_validation = True", "run_validation = False")
    (folder / "etc" / "tempest.conf").write_text(text)
    discovery = suite_package() / "test_discover"
    (folder / ".stestr.conf").write_text(
        f"[DEFAULT]\ntest_path={discovery}\ntop_dir={suite_package().parent}\ngroup_regex=([^\\.]*\\.)*\n"
    )


def added(text: str, section: str, line: str) -> str:
    head = f"[{section}]\n"
    if head not in text:
        sys.exit(f"tempest.conf.in has no section {section} for the line {line!r}.")
    return text.replace(head, f"{head}{line}\n", 1)


def suite_package() -> Path:
    return next((BIN.parent / "lib").glob("python3*/site-packages/tempest"))


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "", "HOME": str(folder),
        "TEMPEST_CONFIG_DIR": str(folder / "etc"), "TEMPEST_CONFIG": "tempest.conf",
        "OS_TEST_TIMEOUT": str(TEST_TIMEOUT_S), "OS_LOG_CAPTURE": "0", "OS_STDOUT_CAPTURE": "1",
    }


# ---- running ---------------------------------------------------------------------------------


def discovered(folder: Path) -> dict[str, list[str]]:
    """The suite's own names of each test, by the bare one: they end with its tags in brackets and, of a test that runs
    once with each of several images, the image's name in parentheses."""
    subprocess.run([BIN / "stestr", "init"], cwd=folder, env=environment(folder), capture_output=True, check=False)
    done = subprocess.run(
        [BIN / "stestr", "list"], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"The suite can't list its tests:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    found: dict[str, list[str]] = {}
    for line in done.stdout.split("\n"):
        if line.startswith("tempest."):
            found.setdefault(bare(line), []).append(line)
    return found


def bare(name: str) -> str:
    return name.split("[", 1)[0].strip()


def tags(full_id: str) -> set[str]:
    return set(full_id.partition("[")[2].partition("]")[0].split(","))


def variant(name: str) -> str:
    """What a test was run with, of one that is run several times."""
    return name.partition("]")[2].strip("()")


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
        name, ran_with = bare(one["name"]), variant(one["name"])
        words = f"{ran_with}: {one['words']}" if ran_with and one["words"] else one["words"]
        seen[name] = together(seen.get(name), Outcome(one["verdict"], words, one["seconds"]))
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"..  of {total} tests: {count('so far', seen)}", file=sys.stderr, flush=True)
    return seen


def together(before: Outcome | None, now: Outcome) -> Outcome:
    """One outcome of a test that is run several times: it passes if a run does and none fails."""
    if before is None:
        return now
    verdict = min(before.verdict, now.verdict, key=WEIGHS_MOST.index)
    words = [each.words for each in (before, now) if each.words and each.verdict == verdict]
    return Outcome(verdict, "\n".join(words), before.seconds + now.seconds)


def settle(wanted: Iterable[str], seen: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """One outcome for each wanted test: a class whose preparation ended badly speaks for all its tests."""
    classes = {
        name.split("(", 1)[1].rstrip(")"): outcome for name, outcome in seen.items() if name.startswith("setUpClass (")
    }
    nothing = Outcome("failed", "The run ended without a result of this test.")
    return {name: seen.get(name) or classes.get(name.rsplit(".", 1)[0]) or nothing for name in wanted}
