# SPDX-License-Identifier: Apache-2.0
"""The command line's client: it asks the cloud and nobody else, and says in words why it was refused.

What it is used for is shown by tests/cluster and tests/e2e.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from skyhold.cmd.client import Client, Refused


@contextmanager
def answering(status: int, body: object) -> Iterator[tuple[str, list[str]]]:
    """A server that always says the same: its address, and what it was asked."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("X-Subject-Token", "a token")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "HTTP_PROXY"])
def test_passwords_go_to_the_cloud_and_not_to_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with answering(201, {}) as (cloud, asked), answering(201, {}) as (proxy, overheard):
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv(name, proxy)
        Client(cloud, "admin", "secret", "admin")
    assert asked == ["/identity/v3/auth/tokens"]
    assert not overheard


@pytest.mark.parametrize(
    ("body", "told"),
    [({"error": {"code": 401, "message": "The password is wrong."}}, "The password is wrong."), (["?"], '["?"]')],
)
def test_who_is_refused_reads_the_clouds_own_words(body: object, told: str) -> None:
    with answering(401, body) as (cloud, _), pytest.raises(Refused) as refused:
        Client(cloud, "demo", "secret", "demo")
    assert str(refused.value) == f"401: demo can't sign in with the password kept on disk. {told}"
