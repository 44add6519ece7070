# SPDX-License-Identifier: Apache-2.0
"""What an operator's command asks, and says when the control plane says no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skyhold.cmd import admin, mend, rotate, sagas, trace
from skyhold.cmd.client import Refused
from skyhold.core.settings.load import load


@pytest.mark.parametrize(("text", "told"), [
    (json.dumps({"error": {"code": 404, "message": "There is no saga x.", "reason": "not_found"}}),
     "404: There is no saga x."),
    ("not of this API", "404: not of this API"),
])
def test_a_refusal_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    (tmp_path / "admin-password").write_text("secret")
    monkeypatch.setattr(admin, "Client", lambda *_: None)

    def refuse(_: Any) -> Any:
        raise Refused(404, text)

    with pytest.raises(SystemExit) as ended:
        admin.ask(load(tmp_path), refuse)
    assert ended.value.code == told


@pytest.mark.parametrize(("run", "asked"), [
    (lambda settings: trace.run(settings, "req a/b?"), "/admin/v1/trace/req%20a%2Fb%3F"),
    (lambda settings: sagas.show(settings, "../ü"), "/admin/v1/sagas/..%2F%C3%BC"),
    (lambda settings: sagas.steer(settings, "a b", "retry"), "/admin/v1/sagas/a%20b/retry"),
    (lambda settings: mend.run(settings, "a b", "c#d"), "/admin/v1/mend/a%20b/c%23d"),
])
def test_whatever_is_typed_as_an_id_is_asked_for_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Any, asked: str
) -> None:
    (tmp_path / "admin-password").write_text("secret")
    paths: list[str] = []

    class Asked:
        def __init__(self, *_: Any) -> None: ...

        def get(self, path: str, *_: Any) -> Any:
            paths.append(path)
            raise Refused(404, "no")

        post = get

    monkeypatch.setattr(admin, "Client", Asked)
    with pytest.raises(SystemExit):
        run(load(tmp_path))
    assert paths == [asked]


@pytest.mark.parametrize(("answer", "told"), [(None, 0), ({"unopened": ["some_table.secret of 7"]}, 1)])
def test_what_was_not_sealed_anew_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any, told: int
) -> None:
    monkeypatch.setattr(rotate, "ask", lambda *_: answer)
    assert rotate.run(load(tmp_path)) == told
    assert ("some_table.secret of 7" in capsys.readouterr().out) is bool(told)
