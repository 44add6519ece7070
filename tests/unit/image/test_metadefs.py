# SPDX-License-Identifier: Apache-2.0
"""The definitions that every cloud starts with are sound: each is the body of a creation that would be accepted."""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.core import errors
from skyhold.core.shapes import reader
from skyhold.core.versions import Version
from skyhold.image.metadefs.preloaded import bodies
from skyhold.image.metadefs.shape import Definition, NamespaceCreate, definition, definitions

read = reader(NamespaceCreate, Version(0, 0))


@pytest.mark.parametrize("body", bodies(), ids=lambda body: str(body["namespace"]))
def test_a_preloaded_definition_is_what_a_creation_takes(body: dict[str, Any]) -> None:
    want = read(body)
    assert want.resource_type_associations and (want.properties or want.objects)
    assert want.display_name and want.description and not want.extra
    for each in [*want.properties.values(), *(one for whole in want.objects for one in whole.properties.values())]:
        assert each.title and each.description


def test_no_name_is_preloaded_twice() -> None:
    names = [body["namespace"] for body in bodies()]
    assert len(names) == len(set(names)) >= 30


def test_a_definition_is_kept_as_it_was_written() -> None:
    written = {"title": "T", "type": "array", "minItems": 0, "items": {"type": "string"}, "default": None}
    assert definition(reader(Definition, Version(0, 0))(written)) == written


def test_a_name_beyond_the_column_is_refused() -> None:
    with pytest.raises(errors.Invalid):
        definitions({"n" * 81: Definition(title="T", type="string")})
