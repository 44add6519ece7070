# SPDX-License-Identifier: Apache-2.0
"""A small client of the cloud's own API, for what `skyhold up` prepares and waits for.

It asks as any user would, over HTTP with a token; there is no private way in.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


class Refused(Exception):
    """The API said no; `status` and its own words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


def asked(request: urllib.request.Request | str, timeout_s: float) -> Any:
    """The open answer, straight from the cloud: a proxy of the environment is for the world, not for passwords."""
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return straight.open(request, timeout=timeout_s)


def reason_of(text: str) -> str:
    """The message in identity's dialect, else the beginning of the text itself."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]


class Client:
    """`url` is the cloud's, without a slash at the end. One project's token, asked for once."""

    def __init__(self, url: str, user: str, password: str, project: str) -> None:
        self.url = url
        self._token = self._authenticate(user, password, project)

    def _authenticate(self, user: str, password: str, project: str) -> str:
        default = {"id": "default"}
        body = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": user, "domain": default, "password": password}},
                },
                "scope": {"project": {"name": project, "domain": default}},
            }
        }
        request = self._request("POST", "/identity/v3/auth/tokens", json.dumps(body).encode(), {})
        try:
            with asked(request, 30) as answer:
                return str(answer.headers["X-Subject-Token"])
        except urllib.error.HTTPError as error:
            why = reason_of(error.read().decode(errors="replace"))
            remedy = " `skyhold admin restore-access` lets it in again." if user == "admin" else ""
            raise Refused(error.code, f"{user} can't sign in with the password kept on disk. {why}{remedy}") from None

    def get(self, path: str) -> Any:
        return self._send("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self._send("POST", path, json.dumps(body).encode())

    def put(self, path: str, body: Any = None) -> Any:
        return self._send("PUT", path, json.dumps(body).encode() if body is not None else b"")

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    def upload(self, path: str, file: Path) -> None:
        with file.open("rb") as content:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
            self._send("PUT", path, content, headers)

    def _send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        request = self._request(method, path, body, {"X-Auth-Token": self._token, **(headers or {})})
        try:
            with asked(request, 300) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")[:500]) from None
        return json.loads(text) if text else None

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> urllib.request.Request:
        kind = {"Content-Type": "application/json"} if body is not None else {}
        version = {"OpenStack-API-Version": "compute 2.90"}
        return urllib.request.Request(  # noqa: S310
            self.url + path, data=body, method=method, headers={**kind, **version, **headers}
        )
