# SPDX-License-Identifier: Apache-2.0
"""Somebody else's SAML identity provider: pysaml2's own server, as a process that browsers and programs talk to.

It knows one person. Its metadata is a file that the cloud's agreement names; the cloud's it reads from the folder
when it is first asked. `answer` makes any response, so that stories can also have wrong ones.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

USER, PASSWORD = "alice", "wonderland"
PERSON = {"uid": ["alice"], "mail": ["alice@x.org"], "eduPersonEntitlement": ["ravens", "crows"]}
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
AUTHN = {"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": "here"}


ENVELOPE = (
    '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header><e:Response '
    'xmlns:e="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"/></S:Header><S:Body>{}</S:Body></S:Envelope>'
)


def server(folder: Path, url: str, *, key: str = "idp", life: dict[str, int] | None = None) -> Any:
    """pysaml2's, with what it finds in the folder."""
    from saml2.config import IdPConfig
    from saml2.server import Server

    ensure_key(folder, key)
    endpoints = {"single_sign_on_service": [(f"{url}/sso", BINDING + "Redirect"), (f"{url}/ecp", SOAP)]}
    policy = {"default": {"lifetime": life or {"minutes": 15}, "attribute_restrictions": None,
                          "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"}}
    known = [str(folder / name) for name in ("sp.xml", "elsewhere.xml") if (folder / name).exists()]
    config = IdPConfig().load({
        "entityid": f"{url}/metadata", "key_file": str(folder / f"{key}.key"), "cert_file": str(folder / f"{key}.pem"),
        "xmlsec_binary": "/usr/bin/xmlsec1", "metadata": {"local": known} if known else {},
        "service": {"idp": {"endpoints": endpoints, "policy": policy, "want_authn_requests_signed": True}},
    })
    return Server(config=config)


def ensure_key(folder: Path, name: str) -> None:
    if (folder / f"{name}.pem").exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / f"{name}.key").write_bytes(pem)
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_metadata(folder: Path, url: str) -> None:
    from saml2.metadata import entity_descriptor

    (folder / "idp.xml").write_text(str(entity_descriptor(server(folder, url).config)))


def answer(idp: Any, request: Any, **more: Any) -> str:
    """A response to a parsed request; `more` wins over what is right."""
    told: dict[str, Any] = {
        "identity": PERSON, "userid": USER, "in_response_to": request.id, "authn": AUTHN, "sign_assertion": True,
        "destination": request.assertion_consumer_service_url, "sp_entity_id": request.issuer.text,
        "sign_alg": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "digest_alg": "http://www.w3.org/2001/04/xmlenc#sha256", **more,
    }
    return str(idp.create_authn_response(**told))


def parsed(idp: Any, location: str) -> tuple[Any, str]:
    """The request in a redirect's address, and its relay state."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    request = idp.parse_authn_request(
        query["SAMLRequest"], BINDING + "Redirect", relay_state=query["RelayState"], sigalg=query.get("SigAlg"),
        signature=query.get("Signature"),
    )
    return request.message, query["RelayState"]


# ---- the process -----------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    folder: Path
    url: str
    idp: Any = None

    def do_GET(self) -> None:
        request, state = parsed(self.known(), self.path)
        xml = answer(self.known(), request)
        form = {"to": request.assertion_consumer_service_url, "RelayState": state,
                "SAMLResponse": base64.b64encode(xml.encode()).decode()}
        self.say(200, json.dumps(form))

    def do_POST(self) -> None:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self.say(401, "who are you?")
            return
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        request = self.known().parse_authn_request(body, SOAP).message
        xml = answer(self.known(), request)
        self.say(200, ENVELOPE.format(xml.partition("?>")[2] if xml.startswith("<?xml") else xml))

    def known(self) -> Any:
        if Handler.idp is None:
            Handler.idp = server(self.folder, self.url)
        return Handler.idp

    def say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """In silence."""


def main(folder: Path) -> None:
    http = HTTPServer(("127.0.0.1", 0), Handler)
    Handler.folder, Handler.url = folder, f"http://127.0.0.1:{http.server_port}"
    write_metadata(folder, Handler.url)
    print(Handler.url, flush=True)
    http.serve_forever()


# ---- for stories -----------------------------------------------------------------------------


@dataclass
class SamlIdp:
    folder: Path
    url: str

    @property
    def entity_id(self) -> str:
        return f"{self.url}/metadata"

    @property
    def metadata(self) -> str:
        return str(self.folder / "idp.xml")


@asynccontextmanager
async def saml_idp(folder: Path) -> AsyncIterator[SamlIdp]:
    """Running; give it the cloud's metadata as `sp.xml` in the folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "tests.kit.saml_idp", str(folder), stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", line), line
        yield SamlIdp(folder, line)
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
