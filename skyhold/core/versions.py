# SPDX-License-Identifier: Apache-2.0
"""Microversions: which version of an API one request is spoken in.

What differs between versions is declared by the shapes (core/shapes.py) and by each service's
versions.py, not here. The one thing to know first: a request names its version in a header, and
no header means the oldest, because old clients do not know that versions exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from skyhold.core import errors

STANDARD_HEADER: Final = "OpenStack-API-Version"
_STANDARD_KEY: Final = STANDARD_HEADER.lower()
# Header texts come from clients: a bound keeps one client from filling memory with inventions.
_CACHE_SIZE: Final = 1024


class Version(NamedTuple):
    """A microversion such as 2.96; compares number by number, so 2.9 < 2.10."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str | Version) -> Version:
        """Read "2.96"; raises ValueError on anything else (leading zeros included, as upstream)."""
        if isinstance(text, Version):
            return text
        match = re.fullmatch(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})", text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a version: expected two numbers such as 2.1")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Versions:
    """The microversions of one API: their range, their headers and one line of prose for each.

    Example: `Versions("compute", "2.1", "2.96", legacy_header="X-OpenStack-Nova-API-Version")`.
    Follows the API SIG's microversion specification.
    """

    def __init__(
        self,
        service_type: str,
        minimum: str | Version,
        maximum: str | Version,
        *,
        legacy_header: str | None = None,
        lines: Mapping[str, str] | None = None,
        aliases: Iterable[str] = (),
    ) -> None:
        self.service_type = service_type
        self.minimum = Version.parse(minimum)
        self.maximum = Version.parse(maximum)
        if self.minimum > self.maximum:
            raise ValueError(f"{service_type}: the minimum {minimum} is above the maximum {maximum}")
        self.legacy_header = legacy_header
        self.lines = {Version.parse(text): line for text, line in (lines or {}).items()}
        self._legacy_key = legacy_header.lower() if legacy_header else None
        self._names = frozenset(name.lower() for name in (service_type, *aliases))
        self._known: dict[tuple[str | None, str | None], Version] = {}
        self._replies: dict[Version, list[tuple[str, str]]] = {}

    def negotiate(self, headers: Mapping[str, str]) -> Version:
        """The version this request is spoken in. `headers` has lower-case names.

        Raises Invalid when the header cannot be read, NotAcceptable(minimum=, maximum=) when the
        version is out of range.
        """
        legacy = headers.get(self._legacy_key) if self._legacy_key else None
        standard = headers.get(_STANDARD_KEY)
        if standard is None and legacy is None:
            return self.minimum
        known = self._known.get((standard, legacy))
        return known if known is not None else self._read(standard, legacy)

    def response_headers(self, version: Version) -> list[tuple[str, str]]:
        """The headers that tell the client which version it was answered in. Do not change the list."""
        known = self._replies.get(version)
        if known is None:
            known = self._replies[version] = self._build_headers(version)
        return known

    def _read(self, standard: str | None, legacy: str | None) -> Version:
        wanted = self._from_standard(standard) if standard is not None else None
        if wanted is None and legacy is not None:
            wanted = legacy.strip()
        version = self.minimum if wanted is None else self._in_range(wanted)
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        self._known[(standard, legacy)] = version
        return version

    def _from_standard(self, header: str) -> str | None:
        """Our part of "compute 2.37, placement 1.10"; None when the header speaks to others only."""
        wanted = None
        for part in header.split(","):
            words = part.split()
            if words and words[0].lower() in self._names:
                if len(words) != 2:
                    raise errors.Invalid(
                        f"The header {STANDARD_HEADER} must read "
                        f"'{self.service_type} <version>', not {part.strip()[:80]!r}.",
                        reason="bad_version",
                    )
                wanted = words[1]
        return wanted

    def _in_range(self, text: str) -> Version:
        if text.lower() == "latest":
            return self.maximum
        try:
            version = Version.parse(text)
        except ValueError:
            raise errors.Invalid(
                f"API Version String {text[:80]!r} is of invalid format. Must be of format "
                "MajorNum.MinorNum.",
                reason="bad_version",
            ) from None
        if not self.minimum <= version <= self.maximum:
            raise errors.NotAcceptable(
                f"Version {version} is not supported by the API. "
                f"Minimum is {self.minimum} and maximum is {self.maximum}.",
                minimum=str(self.minimum),
                maximum=str(self.maximum),
            )
        return version

    def _build_headers(self, version: Version) -> list[tuple[str, str]]:
        answer = [(STANDARD_HEADER, f"{self.service_type} {version}")]
        vary = [STANDARD_HEADER]
        if self.legacy_header:
            answer.append((self.legacy_header, str(version)))
            vary.append(self.legacy_header)
        answer.append(("Vary", ", ".join(vary)))
        return answer


class FixedVersion(Versions):
    """An API that has no microversions: it never looks at the headers and never sends any."""

    def __init__(self, service_type: str = "", version: str | Version = Version(0, 0)) -> None:
        super().__init__(service_type, version, version)

    def negotiate(self, headers: Mapping[str, str]) -> Version:
        return self.minimum

    def response_headers(self, version: Version) -> list[tuple[str, str]]:
        return []


NO_VERSIONS: Final = FixedVersion()
