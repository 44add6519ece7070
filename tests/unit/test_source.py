# SPDX-License-Identifier: Apache-2.0
"""What the program's own text must not hold: a shell, code evaluated, a way out beside the one client.

Imports between floors are import-linter's, in pyproject.toml. Each exception stands here by file, with its
reason; a new one is a decision and no accident.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]

STARTS_A_SHELL = {
    "os.system", "os.popen", "asyncio.create_subprocess_shell", "subprocess.getoutput", "subprocess.getstatusoutput",
    "pty.spawn", "commands.getoutput",
}
STARTS_A_PROGRAM = {
    "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
    "asyncio.create_subprocess_exec",
}
EVALUATES = {"eval", "exec", "compile", "__import__", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
UNPACKS_CODE = {"pickle", "marshal", "shelve", "dill", "xmlrpc", "jsonpickle"}

OWN_TEXT = {
    "skyhold/core/policy/compile.py": "rules become closures: the text is ours, values go in by name",
    "skyhold/core/wire/code.py": "shapes become readers: the text is ours, names are checked identifiers",
}
ASKS_OUTSIDE = {
    "skyhold/core/outbound.py": "the one client for whatever a user can aim",
    "skyhold/cmd/client.py": "the command line asks the operator's own cloud",
    "skyhold/compute/drivers/fake.py": "fetches images from this cloud, by a URL that the control plane gives",
    "skyhold/compute/drivers/qemu/driver.py": "the same",
    "skyhold/compute/drivers/qemu/images.py": "the same",
    "skyhold/compute/drivers/qemu/snapshots.py": "sends snapshots to this cloud",
    "skyhold/image/drivers/bringing.py": "fetches images from this cloud, by a URL that the control plane gives",
    "skyhold/image/drivers/sending.py": "sends new images to this cloud",
    "skyhold/volume/drivers/fake.py": "the same",
    "skyhold/volume/drivers/file.py": "fetches and sends images from and to this cloud",
    "skyhold/image/imports/sources.py": "asks the image service of another region, at the address in the catalogue",
}
SECRET = re.compile(r"(^|[._])(secret|signature|password|passcode|verifier|nonce|hmac|mac_key)(_hash)?$")
COMPARED_OPENLY = {
    "skyhold/identity/drivers/fake.py": "a directory for tests",
    "skyhold/identity/users.py": "two that the same caller gives, and a row with itself",
}
ANOTHERS_CLIENT = {"aiohttp", "requests", "httpx", "urllib3", "http.client", "urllib.request", "ftplib", "telnetlib"}


@cache
def sources() -> tuple[tuple[str, ast.Module], ...]:
    return tuple(
        (str(path.relative_to(REPO)), ast.parse(path.read_text())) for path in sorted((REPO / "skyhold").rglob("*.py"))
    )


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    for file, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := dotted(node.func)):
                yield file, name, node


def imports() -> Iterator[tuple[str, str]]:
    for file, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((file, each.name) for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield file, node.module
                yield from ((file, f"{node.module}.{each.name}") for each in node.names)


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{inner}.{node.attr}" if isinstance(node, ast.Attribute) and (inner := dotted(node.value)) else ""


def test_invariant_8_no_program_is_started_through_a_shell() -> None:
    """CVE-2026-42510's class: what a user wrote met a shell."""
    for file, name, call in calls():
        assert name not in STARTS_A_SHELL, f"{file}:{call.lineno} {name}"
        shell = [word.value for word in call.keywords if word.arg == "shell"]
        assert not shell, f"{file}:{call.lineno} {name}(shell=…)"


def test_invariant_8_programs_get_their_arguments_one_by_one() -> None:
    seen = 0
    for file, name, call in calls():
        if name in STARTS_A_PROGRAM and call.args:
            seen += 1
            first = call.args[0]
            text = isinstance(first, ast.JoinedStr | ast.BinOp) or (
                isinstance(first, ast.Constant) and " " in str(first.value)
            )
            assert not text, f"{file}:{call.lineno} {name} gets a line, not a list"
    assert seen > 10, "else calls are not found any more"


def test_invariant_7_nothing_evaluates_code_but_two_places_whose_text_is_ours() -> None:
    """CVE-2026-28370 and CVE-2026-44916's class."""
    found = {file for file, name, _ in calls() if name in EVALUATES}
    assert found == set(OWN_TEXT), found ^ set(OWN_TEXT)
    unpacking = {(file, name) for file, name in imports() if name.partition(".")[0] in UNPACKS_CODE}
    assert not unpacking


def test_invariant_6_whatever_a_user_can_aim_goes_through_one_client() -> None:
    found = {file for file, name in imports() if name in ANOTHERS_CLIENT}
    new, stale = found - set(ASKS_OUTSIDE), set(ASKS_OUTSIDE) - found
    assert not new, f"{new}: what a user can aim goes through core/outbound.py; anything else says why here"
    assert not stale, f"{stale}: these ask nobody any more, and might some day unseen"


def test_invariant_6_no_client_but_the_one_follows_a_redirect() -> None:
    """CVE-2026-34881, CVE-2026-42997: the first address is looked at, the second is where it really leads."""
    for file, _, call in calls():
        if "aiohttp" in str((REPO / file).read_text()) and isinstance(call.func, ast.Attribute):
            asks = call.func.attr in ("get", "put", "post", "head", "request") and (
                dotted(call.func.value).endswith(("session", "http"))
                or any(word.arg in ("headers", "timeout", "data") for word in call.keywords)
            )
            if asks:
                said = {word.arg: word.value for word in call.keywords}.get("allow_redirects")
                assert isinstance(said, ast.Constant) and said.value is False, f"{file}:{call.lineno}"


def test_invariant_11_what_is_secret_is_compared_in_constant_time() -> None:
    """By hmac.compare_digest: how long `==` takes tells how much of a guess was right."""
    found = {
        file for file, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        and any(SECRET.search(dotted(side)) for side in (node.left, *node.comparators))
    }
    assert found == set(COMPARED_OPENLY), found ^ set(COMPARED_OPENLY)
    assert sum(name.endswith("compare_digest") for _, name, _ in calls()) > 5, "else calls are not found any more"


@pytest.mark.parametrize("text", [
    "import os\nos.system(x)", "import subprocess\nsubprocess.run(x, shell=True)", "eval(x)", "import pickle",
    "import httpx", "row.secret == given",
])
def test_the_search_finds_what_it_is_for(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (*sources(), ("skyhold/new.py", ast.parse(text)))
    monkeypatch.setitem(globals(), "sources", lambda: whole)
    failed = 0
    for law in (
        test_invariant_8_no_program_is_started_through_a_shell,
        test_invariant_7_nothing_evaluates_code_but_two_places_whose_text_is_ours,
        test_invariant_6_whatever_a_user_can_aim_goes_through_one_client,
        test_invariant_11_what_is_secret_is_compared_in_constant_time,
    ):
        try:
            law()
        except AssertionError:
            failed += 1
    assert failed == 1
