# SPDX-License-Identifier: Apache-2.0
"""What a token made by a delegation is bounded by: the one form that every kind of delegation gives.

Which kinds there are, and where each reads its bound, is grounds.py; validate.py alone applies them. A bound
only ever takes away: roles that its holder doesn't have are not in the token, whatever the bound names.
"""

from __future__ import annotations

from typing import Any

import msgspec

from skyhold.identity.auth.subjects import UserView

AccessRules = tuple[tuple[str, str, str, str], ...]
"""(id, service type, method, path)"""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """None is no limit of that kind."""

    project_id: str | None = None
    role_ids: tuple[str, ...] | None = None
    """What these imply is given too, as far as the holder has it."""
    ends_at: int | None = None
    """Microseconds; the token counts no longer, whatever stands in it."""
    all_roles: bool = False
    """When the holder lost one of the roles, it gives nothing any more."""
    signers: tuple[str, ...] = ()
    """Ids of the users whose tokens may rest on it."""
    made_with: str | None = None
    """The delegation whose token made this one (grounds.link): what bounds that bounds this."""
    holder: UserView | None = None
    """Whose roles count, where it isn't the token's user: the trustor of a trust."""
    generation: int = 0
    """The sum over the people it rests on: when one is disabled or changes the password, tokens under it are void."""
    speaks_as: UserView | None = None
    """Whom the token shows as its user, where it isn't the one who signed in: impersonation."""
    access_rules: AccessRules | None = None
    passes_on: bool = False
    """Whether a token under it may make credentials, trusts and other delegations in turn."""
    shown: dict[str, Any] = {}
    """Keys that it adds to the printed token."""
