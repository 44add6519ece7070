# SPDX-License-Identifier: Apache-2.0
"""The body of a request for a token, as `POST /v3/auth/tokens` takes it.

What is made of it is methods.py (the proof) and scoping.py (the scope). Keystone lets keys that it
doesn't know pass here, so these shapes do.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.shapes import Shape, envelope, field


class DomainRef(Shape, extra="ignore"):
    id: str | None = field(default=None, max=64)
    name: str | None = field(default=None, max=255)


class UserRef(Shape, extra="ignore"):
    id: str | None = field(default=None, max=64)
    name: str | None = field(default=None, max=255)
    domain: DomainRef | None = field(default=None)


class PasswordUser(UserRef, extra="ignore"):
    password: str = field(secret=True)


class ByPassword(Shape, extra="ignore"):
    user: PasswordUser


class ByToken(Shape, extra="ignore"):
    id: str = field(secret=True)


class ByAppCredential(Shape, extra="ignore"):
    id: str | None = field(default=None, max=64)
    name: str | None = field(default=None, max=255)
    user: UserRef | None = field(default=None)
    secret: str = field(secret=True)


class TotpUser(UserRef, extra="ignore"):
    passcode: str = field(max=64, secret=True)


class ByTotp(Shape, extra="ignore"):
    user: TotpUser


class Identity(Shape, extra="ignore"):
    methods: list[str] = field(max_items=16)
    password: ByPassword | None = field(default=None)
    token: ByToken | None = field(default=None)
    application_credential: ByAppCredential | None = field(default=None)
    totp: ByTotp | None = field(default=None)


class ProjectRef(Shape, extra="ignore"):
    id: str | None = field(default=None, max=64)
    name: str | None = field(default=None, max=255)
    domain: DomainRef | None = field(default=None)


class SystemRef(Shape, extra="ignore"):
    all: bool | None = field(default=None)


class TrustRef(Shape, extra="ignore"):
    id: str = field(max=64)


class Scope(Shape, extra="ignore"):
    project: ProjectRef | None = field(default=None)
    domain: DomainRef | None = field(default=None)
    system: SystemRef | None = field(default=None)
    trust: TrustRef | None = field("OS-TRUST:trust", default=None)
    unscoped: Any = field(optional=True)


class Auth(Shape, extra="ignore"):
    identity: Identity
    scope: Scope | str | None = field(default=None)


AUTH = envelope("auth", Auth, outer="ignore")


class TokenQuery(Shape, extra="ignore"):
    nocatalog: str | None = field(default=None)
    allow_expired: str | None = field(default=None)
