# SPDX-License-Identifier: Apache-2.0
"""What the policy data says an answer must be, before anything is asked.

Who asks is in land.py, what is asked in operations.py. The one thing to know first: whoever may not
learn that a thing is there must get for it the very answer that a thing nobody has gets.
"""

from __future__ import annotations

from tests.tenancy import registry
from tests.tenancy.land import Land, Someone
from tests.tenancy.operations import Operation


def verdict(land: Land, who: Someone, operation: Operation) -> str:
    """forbidden: by role or scope, whatever it is about. done: allowed. refused: not theirs to do."""
    policy, rule = land.cloud.core.policy, operation.route.policy.name
    if not policy.possible(rule, who.creds):
        return "forbidden"
    if not operation.touches:
        return "own"
    theirs = policy.allows(rule, who.creds, land.target())
    return "done" if theirs and not hidden(land, who, operation) else "refused"


def hidden(land: Land, who: Someone, operation: Operation) -> bool:
    """A rule may be open to all and the thing itself not: a private flavor."""
    private = operation.service.name == "compute" and "flavor_id" in operation.variables
    return private and who.creds.project_id != land.owner.project_id and "admin" not in who.creds.roles


def fits(verdict: str, operation: Operation, status: int) -> bool:
    """Whether the answer about the land's own thing is the one expected. A list asked for what is
    another's may be empty."""
    if verdict == "forbidden":
        return status == 403
    if verdict == "refused":
        empty = not operation.variables and (400 if operation.changes else 200) <= status < 410
        return status in (403, 404) or empty
    return status < 400 or status == registry.REFUSED.get(operation.name, (0,))[0]


def of_unknown(land: Land, who: Someone, operation: Operation) -> tuple[int, ...]:
    """The statuses fit for an id that nobody has. Where a rule asks whose it is, and there is nobody
    to ask about, some APIs refuse."""
    policy, rule = land.cloud.core.policy, operation.route.policy.name
    if not policy.possible(rule, who.creds):
        return (403,)
    usual = registry.UNKNOWN.get(operation.name, (404,))[0]
    return (usual,) if policy.allows(rule, who.creds, {}) else (usual, 403, 404)
