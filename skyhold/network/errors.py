# SPDX-License-Identifier: Apache-2.0
"""How network prints errors: Neutron's envelope, `{"NeutronError": {"type", "message", "detail"}}`.

What goes wrong is core/errors.py; the type is upstream's exception name, given as `kind` where it
is raised. A quota refusal is 409 here, and hidden things are 404.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.errors import Error, Forbidden, OverQuota
from skyhold.core.http.dialect import Dialect

TYPES = {
    "network": "NetworkNotFound",
    "subnet": "SubnetNotFound",
    "port": "PortNotFound",
    "router": "RouterNotFound",
    "floatingip": "FloatingIPNotFound",
    "security_group": "SecurityGroupNotFound",
    "security_group_rule": "SecurityGroupRuleNotFound",
}
BY_STATUS = {
    400: "HTTPBadRequest", 403: "PolicyNotAuthorized", 404: "HTTPNotFound", 405: "HTTPMethodNotAllowed",
    406: "HTTPNotAcceptable", 409: "Conflict", 412: "RevisionNumberConstraintFailed",
    413: "HTTPRequestEntityTooLarge", 415: "HTTPUnsupportedMediaType", 501: "HTTPNotImplemented",
    503: "HTTPServiceUnavailable",
}


class NetworkDialect(Dialect):
    def status(self, error: Error) -> int:
        return 409 if isinstance(error, OverQuota) else error.status

    def body(self, error: Error, status: int, request_id: str) -> Any:
        if status == 401:
            return super().body(error, status, request_id)
        return {"NeutronError": {
            "type": kind(error, status), "message": message(error), "detail": "", "reason": error.reason,
        }}


def kind(error: Error, status: int) -> str:
    given = error.extra.get("kind")
    if isinstance(given, str):
        return TYPES.get(given, given)
    if isinstance(error, OverQuota):
        return "OverQuota"
    return BY_STATUS.get(status, "HTTPInternalServerError")


def message(error: Error) -> str:
    """Clients search the text for these words of upstream's."""
    if isinstance(error, OverQuota):
        return f"Quota exceeded for resources: ['{error.extra['resource']}']. {error.message}"
    if isinstance(error, Forbidden) and "rule" in error.extra:
        return f"(rule:{error.extra['rule']}) is disallowed by policy: {error.message}"
    return error.message


DIALECT = NetworkDialect()
