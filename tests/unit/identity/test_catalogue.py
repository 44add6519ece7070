# SPDX-License-Identifier: Apache-2.0
"""Addresses of the catalogue: slots are filled, and one that can't be filled hides its endpoint."""

from __future__ import annotations

import pytest

from skyhold.identity.catalogue import address
from skyhold.identity.listing import truthy

PROJECT = {"project_id": "p1", "tenant_id": "p1", "user_id": "u1"}
NONE = {"project_id": None, "tenant_id": None, "user_id": "u1"}


@pytest.mark.parametrize(("url", "values", "found"), [
    ("http://a/v3", NONE, "http://a/v3"),
    ("http://a/$(project_id)s/x", PROJECT, "http://a/p1/x"),
    ("http://a/%(tenant_id)s", PROJECT, "http://a/p1"),
    ("http://a/AUTH_%(tenant_id)s", NONE, None),
    ("http://a/%(user_id)s", NONE, "http://a/u1"),
    ("http://a/%(secret)s", PROJECT, None),
])
def test_address(url: str, values: dict[str, str | None], found: str | None) -> None:
    assert address(url, values) == found


@pytest.mark.parametrize(("text", "meant"), [
    ("", True), ("1", True), ("True", True), ("yes", True), ("0", False), ("false", False), ("FALSE", False),
    ("nonsense", True),
])
def test_truthy(text: str, meant: bool) -> None:
    assert truthy(text) is meant
