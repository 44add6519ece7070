# SPDX-License-Identifier: Apache-2.0
"""How identity prints errors: `{"error": {"code": 404, "title": "Not Found", "message": "…"}}`.

What goes wrong is core/errors.py. What is hidden is 404 by id; an action that a role doesn't allow
is 403, with the rule and the role that were missing. Quota refusals can't happen here.
"""

from __future__ import annotations

from skyhold.core.http.dialect import Dialect


class IdentityDialect(Dialect):
    """The envelope that core builds in is this API's own."""


DIALECT = IdentityDialect()
