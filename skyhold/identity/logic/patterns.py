# SPDX-License-Identifier: Apache-2.0
"""Regular expressions that somebody else wrote, matched in time linear in the text.

Python's own engine backtracks: `(a+)+$` against forty letters holds a process for hours. These run in the
engine of jsonschema-rs, which has no look-around and no back-references and so can't be made to hang.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs

from skyhold.core import errors

LONGEST = 4096
COMPILED_BYTES = 1024 * 1024


def check(pattern: str) -> None:
    """Raises Invalid for what is no regular expression, or is one that could take for ever."""
    if len(pattern) > LONGEST:
        raise errors.Invalid(f"A regular expression is at most {LONGEST} characters long.", reason="bad_pattern")
    try:
        compiled(pattern)
    except (ValueError, jsonschema_rs.ValidationError):
        raise errors.Invalid(
            f"{pattern[:200]!r} is no regular expression that can be used here: look-around and back-references "
            "can't, because they can take for ever.", reason="bad_pattern",
        ) from None


def found(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text; `^` and `$` tie it to the ends."""
    matches: bool = compiled(pattern).is_valid(text)
    return matches


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    return jsonschema_rs.validator_for(
        {"type": "string", "pattern": pattern},
        pattern_options=jsonschema_rs.RegexOptions(size_limit=COMPILED_BYTES),
    )
