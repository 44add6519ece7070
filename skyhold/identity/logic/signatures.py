# SPDX-License-Identifier: Apache-2.0
"""Whether a request was signed with an EC2 key's secret: Amazon's signature versions 0, 1, 2 and 4.

Finding the key, and the token that it is then worth, is delegation/ec2_tokens.py. Source: Amazon's documents
on signing query requests and on Signature Version 4. All comparisons take the same time whatever is wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

V4 = "AWS4-HMAC-SHA256"
SKEW_S = 900
"""How far a request's time may be from ours."""
LONGEST_PRESIGNED_S = 604_800
SAFE = "-_.~"


class Signed(NamedTuple):
    """A request as whoever received it describes it. `host` is with its port, if it has one."""

    access: str
    signature: str
    host: str
    verb: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body_hash: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")


def matches(secret: str, request: Signed) -> bool:
    """Signers disagree whether a port belongs to the host, so both are tried."""
    hosts = {request.host, request.host.rpartition(":")[0] or request.host}
    found = [same(expected(secret, request._replace(host=host)), request.signature) for host in sorted(hosts)]
    return any(found)


def expected(secret: str, request: Signed) -> str:
    """The right signature; empty for a version nobody knows."""
    if is_v4(request):
        return version_4(secret, request)
    by_version = {"0": version_0, "1": version_1, "2": version_2}
    sign = by_version.get(request.params.get("SignatureVersion", ""))
    return sign(secret, request) if sign else ""


def same(expected: str, given: str) -> bool:
    """An empty one is never right."""
    return hmac.compare_digest(expected.encode(), given.encode()) and bool(expected)


def is_v4(request: Signed) -> bool:
    return request.header("Authorization").startswith(V4) or request.params.get("X-Amz-Algorithm") == V4


def version_0(secret: str, request: Signed) -> str:
    text = request.params.get("Action", "") + request.params.get("Timestamp", "")
    return base64_mac(secret, text, "sha1")


def version_1(secret: str, request: Signed) -> str:
    pairs = sorted(request.params.items(), key=lambda pair: pair[0].lower())
    return base64_mac(secret, "".join(name + value for name, value in pairs if name != "Signature"), "sha1")


def version_2(secret: str, request: Signed) -> str:
    pairs = {name: value for name, value in request.params.items() if name != "Signature"}
    # This version sorts names before they are quoted, the next one afterwards.
    query = "&".join(quoted(name, value) for name, value in sorted(pairs.items(), key=lambda pair: pair[0].encode()))
    text = f"{request.verb}\n{request.host.lower()}\n{request.path}\n{query}"
    algorithm = "sha1" if request.params.get("SignatureMethod") == "HmacSHA1" else "sha256"
    return base64_mac(secret, text, algorithm)


def version_4(secret: str, request: Signed) -> str:
    """Empty when the parts of the request don't belong together: another key, another day."""
    at, scope, names = parts_of_v4(request)
    access, _, rest = scope.partition("/")
    if access != request.access or not at or not rest.startswith(at[:8] + "/") or rest.count("/") != 3:
        return ""
    canonical = hashlib.sha256(canonical_request(request, names).encode()).hexdigest()
    return sign_v4(secret, rest, f"{V4}\n{at}\n{rest}\n{canonical}")


def parts_of_v4(request: Signed) -> tuple[str, str, str]:
    """(time, credential scope with the access, names of signed headers), from the header or the address."""
    params = request.params
    if params.get("X-Amz-Algorithm") == V4:
        return params.get("X-Amz-Date", ""), params.get("X-Amz-Credential", ""), params.get("X-Amz-SignedHeaders", "")
    given = dict(
        part.strip().partition("=")[::2] for part in request.header("Authorization").removeprefix(V4).split(",")
    )
    at = request.header("X-Amz-Date") or params.get("X-Amz-Date", "")
    return at, given.get("Credential", ""), given.get("SignedHeaders", "")


def canonical_request(request: Signed, names: str) -> str:
    pairs = {name: value for name, value in request.params.items() if name != "X-Amz-Signature"}
    # The parameters of a POST are its body, which has a hash of its own.
    query = "" if request.verb.upper() == "POST" else canonical_query(pairs)
    lines = [f"{name}:{header_of(request, name)}" for name in names.lower().split(";")]
    return "\n".join([request.verb.upper(), request.path, query, *lines, "", names.lower(), request.body_hash])


def header_of(request: Signed, name: str) -> str:
    value = request.host if name == "host" else request.header(name)
    return " ".join(value.split())


def sign_v4(secret: str, scope: str, text: str) -> str:
    """`scope` is date/region/service/aws4_request."""
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def matches_s3(secret: str, signature: str, token: str) -> bool:
    """`token` is what was signed, in base64: version 4 when it says so, else S3's old form."""
    try:
        text = base64.b64decode(token.replace("-", "+").replace("_", "/"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    if not text.startswith(V4 + "\n"):
        return same(base64_mac(secret, text, "sha1"), signature)
    lines = text.split("\n")
    if len(lines) != 4 or lines[2].count("/") != 3:
        return False
    return same(sign_v4(secret, lines[2], text), signature)


def is_timely(request: Signed, now_us: int) -> bool:
    """Whether it was signed about now, or says itself until when it is good. One that says neither isn't."""
    params, now_s = request.params, now_us / 1_000_000
    if is_v4(request):
        at_s = seconds(parts_of_v4(request)[0], "%Y%m%dT%H%M%SZ")
        if at_s is None:
            return False
        lasts_s = presigned_s(params)
        return at_s - SKEW_S <= now_s <= at_s + (SKEW_S if lasts_s is None else lasts_s)
    if "Expires" in params:
        until_s = iso_seconds(params["Expires"])
        return until_s is not None and now_s <= until_s <= now_s + LONGEST_PRESIGNED_S
    at_s = iso_seconds(params.get("Timestamp", ""))
    return at_s is not None and abs(now_s - at_s) <= SKEW_S


def presigned_s(params: Mapping[str, str]) -> int | None:
    given = params.get("X-Amz-Expires")
    if given is None or params.get("X-Amz-Algorithm") != V4:
        return None
    return min(int(given), LONGEST_PRESIGNED_S) if given.isascii() and given.isdigit() and len(given) < 9 else 0


def iso_seconds(text: str) -> float | None:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ"):
        found = seconds(text, form)
        if found is not None:
            return found
    return None


def seconds(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def canonical_query(params: Mapping[str, Any]) -> str:
    pairs = sorted((quote(name, safe=SAFE), value) for name, value in params.items())
    return "&".join(f"{name}={quote(value, safe=SAFE)}" for name, value in pairs)


def quoted(name: str, value: str) -> str:
    return f"{quote(name, safe=SAFE)}={quote(value, safe=SAFE)}"


def base64_mac(secret: str, text: str, algorithm: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), algorithm).digest()).decode()
