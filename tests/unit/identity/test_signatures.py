# SPDX-License-Identifier: Apache-2.0
"""Signatures of EC2 and S3 requests, as Amazon's own client makes them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlparse

import pytest
from botocore.auth import HmacV1Auth, SigV2Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from skyhold.identity.logic.signatures import Signed, base64_mac, is_timely, matches, matches_s3

SECRET = "the secret/of+a=key"
OWNER = Credentials("the-access", SECRET)
HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
WORDS = st.dictionaries(
    st.text("abcXYZ.-_~ /é", min_size=1, max_size=6), st.text("abc &=+%é/", max_size=8), max_size=4
)


def version_2(params: dict[str, str], host: str = "cloud.test") -> Signed:
    request = AWSRequest("POST", f"https://{host}/services/Cloud", data={"Action": "List", **params})
    SigV2Auth(OWNER).add_auth(request)
    found = dict(request.data)
    return Signed("the-access", found.pop("Signature"), host, "POST", "/services/Cloud", found, {}, "")


def version_4(params: dict[str, str], host: str = "cloud.test", auth: Any = SigV4Auth, path: str = "/cloud") -> Signed:
    request = AWSRequest("GET", f"https://{host}{path}", params=dict(params), headers={"Host": host})
    request.context = {"payload_signing_enabled": True}
    auth(OWNER, "ec2", "here").add_auth(request)
    headers = dict(request.headers)
    signature = headers["Authorization"].rpartition("Signature=")[2]
    return Signed("the-access", signature, host, "GET", path, dict(params), headers, HASH)


@given(WORDS)
def test_version_2_as_amazons_client_signs(params: dict[str, str]) -> None:
    request = version_2(params)
    assert matches(SECRET, request)
    assert not matches("another", request)
    assert not matches(SECRET, request._replace(params={**request.params, "Action": "Else"}))
    assert not matches(SECRET, request._replace(path="/else"))


@given(WORDS)
def test_version_4_as_amazons_client_signs(params: dict[str, str]) -> None:
    request = version_4(params)
    assert matches(SECRET, request)
    for wrong in ({"verb": "PUT"}, {"path": "/else"}, {"body_hash": "0" * 64}, {"access": "another"},
                  {"params": {**params, "more": "1"}}, {"signature": ""}):
        assert not matches(SECRET, request._replace(**wrong))


def test_a_host_may_be_told_with_or_without_its_port() -> None:
    assert matches(SECRET, version_2({}, "cloud.test")._replace(host="cloud.test:8788"))
    assert matches(SECRET, version_4({}, "cloud.test")._replace(host="cloud.test:8788"))


def test_old_versions() -> None:
    params = {"Action": "List", "Timestamp": "2026-01-01T00:00:00Z", "SignatureVersion": "0"}
    request = Signed("a", base64_mac(SECRET, "List2026-01-01T00:00:00Z", "sha1"), "h", "GET", "/", params, {}, "")
    assert matches(SECRET, request)
    params = params | {"SignatureVersion": "1", "aKey": "v"}
    text = "ActionList" + "aKeyv" + "SignatureVersion1" + "Timestamp2026-01-01T00:00:00Z"
    request = request._replace(params=params, signature=base64_mac(SECRET, text, "sha1"))
    assert matches(SECRET, request)
    for version in ("3", "", "99"):
        assert not matches(SECRET, request._replace(params=params | {"SignatureVersion": version}))
        assert not matches(SECRET, request._replace(params=params | {"SignatureVersion": version}, signature=""))


def test_parts_of_version_4_that_do_not_belong_together() -> None:
    request = version_4({})
    header = request.headers["Authorization"]
    for wrong in ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=the-access", header.replace("/ec2/", "/ec2/more/"),
                  header.replace("the-access/", "the-access/1999"), header.replace("SignedHeaders=", "Names=")):
        assert not matches(SECRET, request._replace(headers={**request.headers, "Authorization": wrong}))


@pytest.mark.parametrize("late_s", [0, 890, -890])
def test_a_request_is_timely_within_a_quarter_of_an_hour(late_s: int) -> None:
    request = version_4({})
    at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    assert is_timely(request, int((at + late_s) * 1e6))
    assert not is_timely(request, int((at + 901) * 1e6)) and not is_timely(request, int((at - 901) * 1e6))
    plain = version_2({})
    assert not is_timely(plain._replace(params={}), int(at * 1e6))
    assert not is_timely(plain._replace(params={"Timestamp": "yesterday"}), int(at * 1e6))
    assert not is_timely(plain._replace(params={"Expires": "2099-01-01T00:00:00Z"}), int(at * 1e6))
    assert not is_timely(request._replace(headers={"Authorization": "AWS4-HMAC-SHA256 x"}), int(at * 1e6))


def test_a_presigned_address_says_itself_how_long_it_is_good() -> None:
    request = AWSRequest("GET", "https://cloud.test/x", headers={"Host": "cloud.test"})
    SigV4QueryAuth(OWNER, "s3", "here", expires=60).add_auth(request)
    params = dict(parse_qsl(urlparse(request.url).query))
    signed = Signed("the-access", params["X-Amz-Signature"], "cloud.test", "GET", "/x", params, {}, HASH)
    assert matches(SECRET, signed)
    at = datetime.strptime(params["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    assert is_timely(signed, int((at + 59) * 1e6)) and not is_timely(signed, int((at + 61) * 1e6))
    assert not is_timely(signed._replace(params=params | {"X-Amz-Expires": "-1"}), int((at + 1) * 1e6))


def test_s3_in_both_forms() -> None:
    old = "GET\n\n\nThu, 01 Jan 2026 00:00:00 GMT\n/bucket/object"
    signature = HmacV1Auth(OWNER).sign_string(old)
    assert matches_s3(SECRET, signature, base64.b64encode(old.encode()).decode())
    assert matches_s3(SECRET, signature, base64.urlsafe_b64encode(old.encode()).decode())
    assert not matches_s3("another", signature, base64.b64encode(old.encode()).decode())
    request = AWSRequest("GET", "https://cloud.test/bucket", headers={"Host": "cloud.test"})
    request.context = {"timestamp": "20260101T000000Z"}
    signer = SigV4Auth(OWNER, "s3", "here")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert matches_s3(SECRET, signer.signature(text, request), base64.b64encode(text.encode()).decode())
    for wrong in (b"", b"\xff\xfe", b"AWS4-HMAC-SHA256\nx"):
        assert not matches_s3(SECRET, signature, base64.b64encode(wrong).decode())
    assert not matches_s3(SECRET, signature, "!")
