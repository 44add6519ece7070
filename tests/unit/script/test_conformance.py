# SPDX-License-Identifier: Apache-2.0
"""What script/conformance makes of a run: outcomes, the list that must not shrink, requests out of the log.

Running the suite itself is script/conformance. Its modules are loaded from their folder, as the script does.
"""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from skyhold.image.logic.inspection import Inspection, Refused

FOLDER = Path(__file__).resolve().parents[3] / "script" / "lib" / "conformance"
NAMES = ("suite", "baseline", "report")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = {name: importlib.import_module(name) for name in NAMES}
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name)
    return found


def test_every_wanted_test_has_one_outcome(modules) -> None:
    suite = modules["suite"]
    passed, skipped = suite.Outcome("passed"), suite.Outcome("skipped", "no such thing")
    seen = {"a.B.one": passed, "setUpClass (a.C)": skipped}
    outcomes = suite.settle(["a.B.one", "a.B.two", "a.C.three"], seen)
    assert [outcomes[name].verdict for name in ("a.B.one", "a.B.two", "a.C.three")] == ["passed", "failed", "skipped"]
    assert suite.count("area", outcomes) == "area: 1 passed, 1 failed, 1 skipped"


def test_tags_are_no_part_of_a_tests_name(modules) -> None:
    suite = modules["suite"]
    for name, ran_with in (("tempest.api.X.test_y[id-1,smoke]", ""), ("tempest.api.X.test_y[id-1,smoke](iso)", "iso")):
        assert suite.bare(name) == "tempest.api.X.test_y"
        assert suite.tags(name) == {"id-1", "smoke"} and suite.variant(name) == ran_with


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [("passed skipped", "passed"), ("skipped passed failed passed", "failed"), ("skipped skipped", "skipped")],
)
def test_a_test_that_runs_with_several_images_has_one_outcome(modules, runs: str, verdict: str) -> None:
    words = {"passed": "", "failed": "why", "skipped": "why not"}
    lines = [
        json.dumps({"name": f"a.B.one[id-1](image-{i})", "verdict": run, "words": words[run], "seconds": 1})
        for i, run in enumerate(runs.split())
    ]
    seen = modules["suite"].collected(lines, len(lines))
    assert list(seen) == ["a.B.one"] and seen["a.B.one"].verdict == verdict
    assert seen["a.B.one"].seconds == len(lines)
    if verdict == "failed":
        assert seen["a.B.one"].words == "image-2: why"


def test_every_format_has_its_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    made = yaml.safe_load(importlib.import_module("formats").make(tmp_path / "formats").read_text())["images"]
    assert {"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"} == {each["format"] for each in made if each["usable"]}
    assert all((tmp_path / "formats" / each["filename"]).stat().st_size for each in made)
    for each in made:
        inspection = Inspection(each["format"], "bare", 2**40)
        with nullcontext() if each["usable"] else pytest.raises(Refused):
            inspection.feed((tmp_path / "formats" / each["filename"]).read_bytes())
            inspection.conclude()


@pytest.mark.parametrize("verdict", ["failed", "skipped"])
def test_a_listed_test_that_does_not_pass_is_broken(modules, tmp_path: Path, verdict: str) -> None:
    suite, baseline = modules["suite"], modules["baseline"]
    good, bad = suite.Outcome("passed"), suite.Outcome(verdict)
    baseline.record(tmp_path, "area", {"a": good, "b": good, "c": bad})
    assert baseline.listed(tmp_path, "area") == ["a", "b"]
    assert baseline.broken(tmp_path, "area", {"a": good, "b": bad, "c": bad}) == ["b"]
    # What was not asked for is not compared.
    assert baseline.broken(tmp_path, "area", {"a": good}) == []


def test_requests_are_told_apart_by_worker_and_hold_no_password(modules) -> None:
    log = [
        "2026-01-01 00:00:00.1 11 INFO x [-] Request (T:one): 200 GET http://h/a 0.1s",
        "2026-01-01 00:00:00.1 22 INFO x [-] Request (T:two): 404 POST http://h/b 0.1s",
        "2026-01-01 00:00:00.1 11 DEBUG x [-] Request - Headers: {}",
        '        Body: {"password": "hidden"}',
        "2026-01-01 00:00:00.1 22 DEBUG x [-] Request - Headers: {}",
        "        Body: two",
    ]
    found = modules["report"].requests(log)
    assert set(found) == {"T:one", "T:two"}
    assert found["T:one"][0].startswith("200 GET") and "***" in found["T:one"][0]
    assert "hidden" not in str(found) and "Body: two" in found["T:two"][0]
