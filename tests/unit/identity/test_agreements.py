# SPDX-License-Identifier: Apache-2.0
"""The operator's file of agreements: what it may say, and that a wrong one stops the start with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyhold.core.settings.whole import SettingsError
from skyhold.identity.federation.agreements import Agreements, load
from skyhold.identity.logic.claims import assertion

PAGE = Path(__file__).parents[3] / "docs" / "operate" / "federation.md"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "federation.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_without_a_file_there_are_no_agreements(tmp_path: Path) -> None:
    assert load(tmp_path / "federation.toml") == Agreements()


def test_the_example_of_the_page_is_one(tmp_path: Path) -> None:
    found = load(written(tmp_path, PAGE.read_text().partition("```ini\n")[2].partition("```")[0]))
    assert found.oidc["keeper"]["openid"].client_id == "skyhold"
    assert found.by_protocol("saml2") == ["university"]


@pytest.mark.parametrize(("text", "told"), [
    ("trusted_dashboards = 7", "trusted_dashboards"), ("surprise = 1", "surprise"), ("= ", "federation.toml"),
    ('[oidc.a.b]\nissuer = "http://keeper.example.org"\nclient_id = "c"', "https"),
    ('[oidc.a.b]\nissuer = "https://k.example"', "client_id"), ('[oidc]\na = 1', "oidc"),
    ('[saml.a.b]\nmetadata = "x"', "entity_id"), ("authorization_ttl_min = -1", "authorization_ttl_min"),
])
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load(written(tmp_path, text))


def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="chmod 600"):
        load(written(tmp_path, "", 0o644))


def test_claims_have_the_names_that_mappings_know() -> None:
    found = assertion({
        "sub": "s", "email": "e", "groups": ["a", "b"], "n": 7, "on": True, "none": None, "deep": {"a": 1},
        "given-name": "g", "empty": [], "mixed": ["a", {"b": 1}],
    })
    assert found["OIDC-email"] == found["HTTP_OIDC_EMAIL"] == found["OIDC_CLAIM_email"] == ("e",)
    assert found["OIDC-groups"] == ("a", "b") and found["HTTP_OIDC_GIVEN_NAME"] == ("g",)
    assert found["OIDC-n"] == ("7",) and found["OIDC-on"] == ("true",) and found["OIDC-deep"] == ('{"a": 1}',)
    assert found["REMOTE_USER"] == ("s",)
    assert "OIDC-none" not in found and "OIDC-empty" not in found
    assert found["OIDC-mixed"] == ('["a", {"b": 1}]',)
