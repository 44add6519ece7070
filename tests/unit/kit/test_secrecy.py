# SPDX-License-Identifier: Apache-2.0
"""The kit that looks through a run's logs for its secrets finds those that are there, and those alone."""

from __future__ import annotations

import pytest

from tests.kit.secrecy import Secrecy

TOKEN = "gAAAAABm-sUvWxYz0123456789_-AbCdEfGh"


@pytest.mark.parametrize(("headers", "body", "line"), [
    ([(b"X-Auth-Token", TOKEN.encode())], b"", f"asked with {TOKEN} and refused"),
    ([], b'{"auth": {"identity": {"password": {"user": {"password": "correct horsebattery"}}}}}',
     "user='x' tried='correct horsebattery'"),
    ([], b'{"server": {"adminPass": "0123456789abcdef"}}', "made:0123456789abcdef,"),
    ([(b"Authorization", b"Bearer 0123456789abcdef")], b"", "who is 0123456789abcdef"),
    ([], b'{"credential": {"type": "totp", "blob": "JBSWY3DPEHPK3PXP"}}', "the seed is JBSWY3DPEHPK3PXP"),
    ([], b'[{"webhook": {"secret": "hooks-own-0123456789"}}]', "signed with hooks-own-0123456789"),
])
def test_what_was_logged_is_found(headers: list[tuple[bytes, bytes]], body: bytes, line: str) -> None:
    made = Secrecy()
    made.logged("nothing of it\n")
    made.passed(headers, body)
    assert not made.leaked()
    made.logged(f"before\n{line}\nafter\n")
    assert len(made.leaked()) == 1 and "after" not in made.leaked()[0]


def test_what_only_looks_like_it_is_none() -> None:
    made = Secrecy()
    body = b'{"password": "battery staple", "name": "correct horse", "token": {"user": {"name": "somebody-x"}}}'
    made.passed([], body)
    made.passed([], b'{"policy": {"blob": "a-rule-of-somebody"}}')
    made.logged("correct horse, battery, somebody-x, a-rule-of-somebody\n")
    assert not made.leaked()
