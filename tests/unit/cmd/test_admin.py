# SPDX-License-Identifier: Apache-2.0
"""What an operator's command says when the control plane says no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skyhold.cmd import admin
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
