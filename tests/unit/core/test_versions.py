# SPDX-License-Identifier: Apache-2.0
"""Negotiating a microversion from headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.core.versions import NO_VERSIONS, FixedVersion, Version, Versions

COMPUTE = Versions("compute", "2.1", "2.96", legacy_header="X-OpenStack-Nova-API-Version", lines={"2.2": "a"})
BLOCK = Versions("volume", "3.0", "3.71", aliases=("block-storage",))
STANDARD, LEGACY = "openstack-api-version", "x-openstack-nova-api-version"


def asked(text: str) -> Version:
    return COMPUTE.negotiate({STANDARD: text})


@given(st.integers(0, 999999), st.integers(0, 999999))
def test_a_version_reads_what_it_prints(major: int, minor: int) -> None:
    assert Version.parse(str(Version(major, minor))) == (major, minor)


NOT_VERSIONS = ["2", "2.", ".1", "2.1.1", "2.01", "02.1", "a.b", "", " 2.1", "2.1\n", "\uff12.1"]


@pytest.mark.parametrize("text", NOT_VERSIONS)
def test_other_texts_are_not_versions(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        Version.parse(text)


def test_versions_compare_by_number() -> None:
    assert Version.parse("2.9") < Version.parse("2.10")


def test_no_header_means_the_oldest() -> None:
    assert COMPUTE.negotiate({}) == (2, 1)


def test_the_standard_header() -> None:
    assert asked("compute 2.37") == (2, 37)
    assert asked("COMPUTE   2.37") == (2, 37)
    assert asked("placement 1.10, compute 2.38 ,volume 3.0") == (2, 38)
    assert asked("compute latest") == (2, 96)
    assert asked("placement 1.10") == (2, 1)


def test_the_legacy_header_counts_when_the_standard_one_speaks_to_others() -> None:
    assert COMPUTE.negotiate({LEGACY: "2.5"}) == (2, 5)
    assert COMPUTE.negotiate({LEGACY: "latest"}) == (2, 96)
    assert COMPUTE.negotiate({LEGACY: "2.5", STANDARD: "compute 2.7"}) == (2, 7)
    assert COMPUTE.negotiate({LEGACY: "2.5", STANDARD: "volume 3.7"}) == (2, 5)


def test_aliases_name_the_same_service() -> None:
    assert BLOCK.negotiate({STANDARD: "block-storage 3.70"}) == (3, 70)
    assert BLOCK.negotiate({STANDARD: "volume 3.70"}) == (3, 70)


@pytest.mark.parametrize("text", ["compute", "compute 2", "compute 2.1 x", "compute x.y", "compute 2.1.0"])
def test_a_header_that_cannot_be_read(text: str) -> None:
    with pytest.raises(errors.Invalid):
        asked(text)


@pytest.mark.parametrize("text", ["compute 2.0", "compute 2.97", "compute 3.1", "compute 1.99"])
def test_out_of_range_tells_the_range(text: str) -> None:
    for _ in range(2):  # an answer is remembered, a refusal must be repeated
        with pytest.raises(errors.NotAcceptable) as caught:
            asked(text)
        assert caught.value.extra == {"minimum": "2.1", "maximum": "2.96"}


def test_the_answer_names_the_version() -> None:
    assert COMPUTE.response_headers(Version(2, 37)) == [
        ("OpenStack-API-Version", "compute 2.37"),
        ("X-OpenStack-Nova-API-Version", "2.37"),
        ("Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version"),
    ]


def test_apis_without_microversions_ignore_the_headers() -> None:
    assert NO_VERSIONS.negotiate({STANDARD: "compute 9.9"}) == (0, 0)
    assert NO_VERSIONS.response_headers(Version(0, 0)) == []
    assert FixedVersion("image", "2.17").negotiate({}) == (2, 17)


def test_inventive_clients_do_not_fill_memory() -> None:
    for blanks in range(3000):
        asked("compute 2.37" + " " * blanks)
    assert len(COMPUTE._known) <= 1024


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="above the maximum"):
        Versions("compute", "2.5", "2.1")
