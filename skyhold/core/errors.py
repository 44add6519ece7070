# SPDX-License-Identifier: Apache-2.0
"""The errors that operations raise; about a dozen, named by what went wrong.

How each is printed is the business of the API's dialect (core/http/dialect.py and each service's
errors.py). Every error carries a sentence for the user and a `reason` for programs; `extra` is
for what a dialect or a reader may want besides (limits, states, hosts).
"""

from __future__ import annotations


class Error(Exception):
    """Base of all. `status` is the usual HTTP status; a dialect may print another."""

    status = 500
    reason = "error"

    def __init__(self, message: str, *, reason: str | None = None, **extra: object) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.extra = extra


class Invalid(Error):
    """The request can't mean anything here; says which part, and what would."""

    status = 400
    reason = "invalid"


class Unauthorized(Error):
    """No or no valid credentials."""

    status = 401
    reason = "unauthorized"


class Forbidden(Error):
    """Known, but not allowed: names the rule, role and scope that were missing."""

    status = 403
    reason = "forbidden"


class OverQuota(Forbidden):
    """Names used, limit and asked, in the sentence and for programs."""

    reason = "over_quota"

    def __init__(self, message: str, *, resource: str, used: int, limit: int, asked: int) -> None:
        super().__init__(message, resource=resource, used=used, limit=limit, asked=asked)


class NotFound(Error):
    """Not there, or not the caller's to see: the same answer for both."""

    status = 404
    reason = "not_found"


class NotAllowed(Error):
    """The path exists, the method doesn't. `extra`: allowed (list of methods)."""

    status = 405
    reason = "method_not_allowed"


class NotAcceptable(Error):
    """A microversion out of range. `extra`: minimum, maximum."""

    status = 406
    reason = "not_acceptable"


class TooSlow(Error):
    """The client did not send what it announced in time."""

    status = 408
    reason = "request_timeout"


class Conflict(Error):
    """The state of things forbids it now: names the state and who holds it."""

    status = 409
    reason = "conflict"


class Gone(Error):
    status = 410
    reason = "gone"


class PreconditionFailed(Error):
    status = 412
    reason = "precondition_failed"


class TooLarge(Error):
    """A body or an image beyond its bound. `extra`: limit_bytes."""

    status = 413
    reason = "too_large"


class UnsupportedMedia(Error):
    status = 415
    reason = "unsupported_media_type"


class TooMany(Error):
    """Slow down. `extra`: retry_after_s."""

    status = 429
    reason = "too_many_requests"


class NotImplementedHere(Error):
    """A documented operation that this cloud's drivers can't do."""

    status = 501
    reason = "not_implemented"


class Unavailable(Error):
    """Not now: a host that is down, a store that doesn't answer. A saga that meets it tries again."""

    status = 503
    reason = "unavailable"


class OutcomeUnknown(Unavailable):
    """The database was lost during a commit that left nothing to find it by: done or not, only a look can tell."""

    reason = "unknown_outcome"


class StorageFull(Unavailable):
    """The disk of the database or of the state directory is full. Nothing was changed."""

    status = 507
    reason = "storage_full"
