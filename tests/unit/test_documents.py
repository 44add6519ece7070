# SPDX-License-Identifier: Apache-2.0
"""The documents say what is: generated pages are fresh, links lead somewhere, named files exist.

What a page says beyond that is its readers' to judge. Pages that are out of date are written anew by script/docs.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
import tokenize
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from skyhold.cmd.compose import services
from skyhold.core.policy.defaults import BASE
from skyhold.core.policy.rules import Policy
from skyhold.core.settings.load import load
from skyhold.events.logic import signing

REPO = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_PATH = re.compile(r"`((?:skyhold|script|tests|docs)/[\w./-]+)`")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
MODULE = re.compile(r"(?<![\w/*<>}.-])(?:\.\./)*([\w/-]+\.py)\b")
FUNCTION = re.compile(r"`((?:skyhold|tests)/[\w/]+\.py)`,\s+`([\w.]+)`")


def documents() -> list[Path]:
    """Every page that is part of the repository, whatever else lies about."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=REPO, capture_output=True, text=True, check=True,
    )
    return sorted(REPO / line for line in listed.stdout.splitlines() if (REPO / line).exists())


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("skyhold_docs", REPO / "script" / "lib" / "docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folders() -> list[str]:
    found = {path.parent for path in (REPO / "skyhold").rglob("*.py")}
    return sorted(str(path.relative_to(REPO)) for path in found)


def prose(path: Path) -> str:
    """The page without its blocks of code, whose brackets are no links."""
    return FENCED.sub("", path.read_text())


def test_generated_pages_are_up_to_date() -> None:
    stale = generator().stale()
    assert not stale, f"run script/docs: {', '.join(stale)}"


def test_a_changed_route_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = generator()
    fewer = docs.services()[:-1]
    monkeypatch.setattr(docs, "services", lambda: fewer)
    assert set(docs.stale()) == {"README.md", "docs/api/README.md", "docs/api/operator.md"}


@pytest.mark.parametrize("folder", folders())
def test_the_map_names_every_folder(folder: str) -> None:
    assert f"]({folder}/)" in (REPO / "MAP.md").read_text(), f"{folder} needs a row in MAP.md"


@pytest.mark.parametrize("page", documents(), ids=lambda path: str(path.relative_to(REPO)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if not target.startswith(("http://", "https://", "#")):
            place = page.parent / target.partition("#")[0]
            assert place.exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", documents(), ids=lambda path: str(path.relative_to(REPO)))
def test_files_named_in_pages_exist(page: Path) -> None:
    for path in CODE_PATH.findall(prose(page)):
        assert (REPO / path).exists(), f"{page.name} names {path}"


def test_modules_named_in_comments_exist() -> None:
    """By the end of their path, as one speaks of a neighbour."""
    tops = ("skyhold", "script", "tests")
    files = [f"/{path.relative_to(REPO)}" for top in tops for path in (REPO / top).rglob("*.py")]
    lost = [
        f"{path}: {name}" for path in files for name in MODULE.findall(comments(REPO / path[1:]))
        if not any(file.endswith("/" + name) for file in files)
    ]
    assert not lost


def comments(path: Path) -> str:
    with path.open("rb") as file:
        told = [token.string for token in tokenize.tokenize(file.readline)
                if token.type == tokenize.COMMENT or token.string.startswith('"""')]
    return "\n".join(told)


@pytest.mark.parametrize("page", ["docs/tour/README.md", "docs/security.md"])
def test_functions_named_in_a_page_are_where_it_says(page: str) -> None:
    named = FUNCTION.findall((REPO / page).read_text())
    assert len(named) > 20, "this page names a function in each of its steps or rows"
    for path, function in named:
        text = (REPO / path).read_text()
        for name in function.split("."):
            assert re.search(rf"(def|class) {name}\b|^{name} = ", text, re.M), f"{path} has no {name}"


def test_every_invariant_has_its_row() -> None:
    rows = re.findall(r"^\| (\d+) \| \*\*.*$", (REPO / "docs" / "security.md").read_text(), re.M)
    assert rows == [str(number) for number in range(1, 17)]


def test_every_advisory_of_a_test_has_its_row() -> None:
    """And the row names a test of its name, so none says that there is nothing yet to be tested."""
    rows = (REPO / "docs" / "security.md").read_text().splitlines()
    found = names_of_tests(r"cve_\d+_\d+|ossa_\d+_\d+|bug_\d+")
    assert len(found) > 20, "tests are named after their advisories"
    for name in found:
        spelled = name.replace("bug_", "bug ") if name.startswith("bug") else name.upper().replace("_", "-")
        (row,) = [line for line in rows if line.startswith("|") and spelled in line.split("|")[1]]
        assert f"`test_{name}_" in row, f"the row of {spelled} names no test of its name"


def test_every_invariant_with_tests_names_one() -> None:
    rows = (REPO / "docs" / "security.md").read_text().splitlines()
    for name in names_of_tests(r"invariant_\d+"):
        (row,) = [line for line in rows if line.startswith(f"| {name.partition('_')[2]} |")]
        assert f"`test_{name}_" in row, row


def names_of_tests(pattern: str) -> set[str]:
    text = "\n".join(path.read_text() for path in (REPO / "tests").rglob("test_*.py"))
    return set(re.findall(rf"def test_({pattern})_", text))


def test_settings_shown_are_settings(tmp_path: Path) -> None:
    shown = [body for page in documents() for kind, body in FENCED.findall(page.read_text()) if kind == "toml"]
    assert shown, "docs/operate/settings.md shows a settings file"
    for body in shown:
        assert tomllib.loads(body)
        (tmp_path / "skyhold.toml").write_text(body)
        load(tmp_path, {})


def test_the_receiver_shown_knows_a_delivery_of_ours() -> None:
    text = (REPO / "docs" / "howto" / "receive-webhooks.md").read_text()
    (receiver,) = [body for kind, body in FENCED.findall(text) if kind == "python"]
    shown: dict[str, Any] = {}
    exec(receiver, shown)
    sent = signing.headers(b"a secret of the project", "hook", 7, int(time.time()), b"{}")
    assert shown["is_genuine"](b"a secret of the project", sent, b"{}")
    assert not shown["is_genuine"](b"a secret of the project", sent, b"{ }")
    late = signing.headers(b"a secret of the project", "hook", 7, int(time.time()) - 900, b"{}")
    assert not shown["is_genuine"](b"a secret of the project", late, b"{}")


def test_policy_shown_is_policy() -> None:
    shown = [body for page in documents() for kind, body in FENCED.findall(page.read_text()) if kind == "yaml"]
    assert shown, "docs/operate/settings.md shows an override"
    policy = Policy()
    policy.register(*BASE, *(rule for service in services() for rule in service.rules))
    for body in shown:
        policy.override(yaml.safe_load(body))
        policy.compile()


def test_commands_shown_exist() -> None:
    from skyhold.cmd.main import main

    known = set(main.commands)
    for page in documents():
        for name in re.findall(r"`skyhold (\w+)", page.read_text()):
            assert name in known, f"{page.name} shows `skyhold {name}`"


def test_the_script_names_what_is_stale() -> None:
    wrong = subprocess.run(
        [sys.executable, str(REPO / "script" / "lib" / "docs.py"), "--nonsense"], cwd=REPO, capture_output=True,
        text=True, env={"PYTHONPATH": str(REPO)},
    )
    assert wrong.returncode == 2
    assert "Usage" in wrong.stderr
