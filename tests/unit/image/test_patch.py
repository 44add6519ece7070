# SPDX-License-Identifier: Apache-2.0
"""JSON patches as they are read: pointers, operations, both media types.

What they do to an image is tests/story/image/test_changes.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.image.logic.patch import Change, changes, step


def test_both_forms_say_the_same() -> None:
    assert changes([{"op": "replace", "path": "/name", "value": "x"}]) == [Change("replace", "name", "x")]
    assert changes([{"replace": "/name", "value": "x"}]) == [Change("replace", "name", "x", strict=True)]
    assert changes([{"op": "remove", "path": "/a"}, {"remove": "/b"}]) == [Change("remove", "a"), Change("remove", "b")]
    assert changes([]) == []


@given(st.text(min_size=1).filter(lambda name: "/" not in name or "~" not in name))
def test_any_name_has_a_pointer(name: str) -> None:
    assert step("/" + name.replace("~", "~0").replace("/", "~1")) == name


@pytest.mark.parametrize("pointer", ["", "name", "/", "//", "/a/", "/a/b", "/~", "/~2", "/a~", None, 7, ["/a"]])
def test_a_pointer_that_is_none_is_refused(pointer: Any) -> None:
    with pytest.raises(errors.Invalid):
        step(pointer)


@pytest.mark.parametrize("body", [
    None, {}, "x", [7], [{}], [{"op": "add"}], [{"op": "add", "path": "/a"}], [{"op": "move", "path": "/a"}],
    [{"add": "/a", "remove": "/a"}], [{"op": [], "path": "/a", "value": 1}], [{"op": {}, "path": "/a", "value": 1}],
])
def test_a_body_that_is_no_patch_is_refused(body: Any) -> None:
    with pytest.raises(errors.Invalid):
        changes(body)


def test_a_patch_has_an_end() -> None:
    with pytest.raises(errors.TooLarge):
        changes([{"op": "remove", "path": "/a"}] * 1001)
