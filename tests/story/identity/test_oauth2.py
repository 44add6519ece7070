# SPDX-License-Identifier: Apache-2.0
"""Stories of OAuth2's client credentials: a program gets a bearer token for an application credential, or for
its certificate.

The other grants are those of the issuer (test_issuer.py). Certificates are made here, by an authority of the test's.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from skyhold.core import tls
from skyhold.core.http.caller import thumbprint
from skyhold.core.http.server import make_server
from tests.kit.client import Answer
from tests.kit.cloud import Cloud, Persona
from tests.kit.patience import PATIENCE_S
from tests.story.identity.test_app_credentials import address
from tests.story.identity.test_app_credentials import make as make_app_credential

V3 = "/identity/v3"
FORM = "application/x-www-form-urlencoded"
KEY = ec.generate_private_key(ec.SECP256R1())


async def ask(cloud: Cloud, form: Any, status: int = 200, kind: str = FORM, **headers: str) -> Answer:
    raw = form if isinstance(form, bytes) else urlencode(form).encode()
    return await cloud.client().post(
        f"{V3}/OS-OAUTH2/token", raw, content_type=kind, status=status, headers=headers
    )


def as_client(made: dict[str, Any], **more: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["secret"], **more}


async def test_key_16_an_application_credential_is_a_client(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    made = await make_app_credential(user, user.user_id, roles=[{"name": "reader"}])
    pair = base64.b64encode(f"{made['id']}:{made['secret']}".encode()).decode()
    for answer in (
        await ask(cloud, as_client(made)),
        await ask(cloud, {"grant_type": "client_credentials"}, Authorization=f"Basic {pair}"),
    ):
        granted = answer.json
        assert granted["token_type"] == "Bearer" and 0 < granted["expires_in"] <= 3600
        assert answer.headers["cache-control"] == "no-store"
        bearer = {"Authorization": "Bearer " + granted["access_token"]}
        reach = await cloud.client().get(f"{V3}/auth/projects", headers=bearer, status=200)
        assert [project["id"] for project in reach.json["projects"]] == [user.project_id]
        token = (await cloud.admin.get(
            f"{V3}/auth/tokens", headers={"X-Subject-Token": granted["access_token"]}, status=200
        )).json["token"]
        assert [role["name"] for role in token["roles"]] == ["reader"]
        assert token["application_credential"]["id"] == made["id"]
        await cloud.client(granted["access_token"]).get("/network/v2.0/networks", status=200)
    await user.delete(address(user, made), status=204)
    await cloud.client().get(f"{V3}/auth/projects", headers=bearer, status=401)
    await ask(cloud, as_client(made), 401)


async def test_refusals_are_in_the_words_of_rfc_6749(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make_app_credential(user, user.user_id)
    good = as_client(made)
    for form, error, status in (
        ({**good, "client_secret": "guess"}, "invalid_client", 401),
        ({**good, "client_id": "nobody"}, "invalid_client", 401),
        ({**good, "client_id": "x" * 100}, "invalid_client", 401),
        ({"grant_type": "client_credentials"}, "invalid_client", 401),
        ({"grant_type": "client_credentials", "client_id": user.user_id}, "invalid_client", 401),
        ({**good, "grant_type": "password"}, "unsupported_grant_type", 400),
        ({"client_id": made["id"]}, "invalid_request", 400),
        (urlencode(good).encode() + b"&client_id=again", "invalid_request", 400),
        (b"", "invalid_request", 400),
    ):
        answer = await ask(cloud, form, status)
        assert answer.json["error"] == error and answer.json["error_description"]
        assert ("www-authenticate" in answer.headers) == (status == 401)
    assert (await ask(cloud, b"{}", 400, "application/json")).json["error"] == "invalid_request"
    for junk in ("Basic", "Basic !", "Basic " + base64.b64encode(b"\xff").decode(), "Bearer x"):
        await ask(cloud, {"grant_type": "client_credentials"}, 401, Authorization=junk)


# ---- certificates ----------------------------------------------------------------------------


def certificate(user_name: str, domain_name: str, issuer: str = "our authority") -> x509.Certificate:
    subject = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, user_name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, domain_name),
    ])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder().subject_name(subject).public_key(KEY.public_key())
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1)).sign(KEY, hashes.SHA256())
    )


def sent(shown: x509.Certificate) -> dict[str, str]:
    """As a proxy sends it on."""
    return {"X-SSL-Client-Cert": quote(shown.public_bytes(serialization.Encoding.PEM).decode())}


MAPPING = {"rules": [{
    "local": [{"user": {"name": "{0}", "domain": {"name": "{1}"}}}],
    "remote": [
        {"type": "SSL_CLIENT_SUBJECT_DN_CN"}, {"type": "SSL_CLIENT_SUBJECT_DN_O"},
        {"type": "SSL_CLIENT_ISSUER_DN_CN", "any_one_of": ["our authority"]},
    ],
}]}


@contextmanager
def behind_proxy(cloud: Cloud) -> Iterator[None]:
    before = cloud.core.settings
    identity = msgspec.structs.replace(before.identity, external_proxies=["127.0.0.0/8"])
    cloud.core.settings = msgspec.structs.replace(before, identity=identity)
    try:
        yield
    finally:
        cloud.core.settings = before


async def program(cloud: Cloud) -> tuple[Persona, str]:
    """A user with a default project, and the name of its domain; the mapping is there."""
    user = await cloud.project(["member"])
    body = {"user": {"default_project_id": user.project_id}}
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", body, status=200)
    path = f"{V3}/OS-FEDERATION/mappings/oauth2_mapping"
    await cloud.admin.put(path, {"mapping": MAPPING}, status=(201, 409))
    domain = (await cloud.admin.get(f"{V3}/domains/{user.domain_id}", status=200)).json["domain"]["name"]
    return user, domain


async def test_key_16_a_certificate_is_a_client_and_binds_its_token(cloud: Cloud) -> None:
    user, domain = await program(cloud)
    shown, other = certificate(user.user_name, domain), certificate(user.user_name, domain)
    form = {"grant_type": "client_credentials", "client_id": user.user_id}
    with behind_proxy(cloud):
        granted = (await ask(cloud, form, **sent(shown))).json
        client = cloud.client(granted["access_token"])
        seen = {"X-Subject-Token": granted["access_token"]}
        token = (await cloud.admin.get(f"{V3}/auth/tokens", headers=seen, status=200)).json["token"]
        print_ = thumbprint(shown.public_bytes(serialization.Encoding.DER))
        assert token["oauth2_credential"] == {"x5t#S256": print_} and token["methods"] == ["oauth2_credential"]
        assert (token["user"]["id"], token["project"]["id"]) == (user.user_id, user.project_id)
        await client.get(f"{V3}/auth/projects", headers=sent(shown), status=200)
        await client.get(f"{V3}/auth/projects", headers=sent(other), status=401)
        await client.get(f"{V3}/auth/projects", status=401)
        await client.get("/network/v2.0/networks", status=401)
        again = {"auth": {"identity": {"methods": ["token"], "token": {"id": client.token}}}}
        await cloud.client().post(f"{V3}/auth/tokens", again, status=401)
        await cloud.client().post(f"{V3}/auth/tokens", again, headers=sent(other), status=401)
        answer = await cloud.client().post(f"{V3}/auth/tokens", again, headers=sent(shown), status=201)
        assert answer.json["token"]["oauth2_credential"] == token["oauth2_credential"]
    await client.get(f"{V3}/auth/projects", headers=sent(shown), status=401)
    await ask(cloud, form, 401, **sent(shown))


async def test_a_certificate_of_another_name_issuer_or_domain_is_no_client(cloud: Cloud) -> None:
    user, domain = await program(cloud)
    stranger, _ = await program(cloud)
    form = {"grant_type": "client_credentials", "client_id": user.user_id}
    with behind_proxy(cloud):
        for wrong in (
            certificate(stranger.user_name, domain), certificate(user.user_name, "Default"),
            certificate(user.user_name, domain, "their authority"),
        ):
            assert (await ask(cloud, form, 401, **sent(wrong))).json["error"] == "invalid_client"
        good = sent(certificate(user.user_name, domain))
        await ask(cloud, form | {"client_id": stranger.user_id}, 401, **good)
        await ask(cloud, form, 401, **{"X-SSL-Client-Cert": "junk"})
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"enabled": False}}, status=200)
        await ask(cloud, form, 401, **good)


async def test_a_connections_own_certificate_counts_and_only_if_its_authority_is_known(
    cloud: Cloud, tmp_path: Path
) -> None:
    user, domain = await program(cloud)
    authority, shown = tmp_path / "ca.pem", tmp_path / "client.pem"
    root = ca()
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    key = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown.write_bytes(certificate(user.user_name, domain).public_bytes(serialization.Encoding.PEM) + key)
    http = msgspec.structs.replace(cloud.core.settings.http, tls="auto", tls_client_authorities=str(authority))
    settings = msgspec.structs.replace(cloud.core.settings, http=http, home=tmp_path)
    listening = tls.server_context(settings)
    assert listening is not None and listening.verify_mode == ssl.CERT_OPTIONAL
    async with serving(cloud, listening) as port:
        ours = ssl.create_default_context(cafile=str(settings.tls_authority))
        ours.load_cert_chain(shown)
        body = urlencode({"grant_type": "client_credentials", "client_id": user.user_id})
        assert b" 200 " in await over_tls(port, ours, body)
        without = ssl.create_default_context(cafile=str(settings.tls_authority))
        assert b" 401 " in await over_tls(port, without, body)


def ca() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "our authority")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(KEY, hashes.SHA256())
    )


@asynccontextmanager
async def serving(cloud: Cloud, secure: ssl.SSLContext) -> AsyncIterator[int]:
    """The cloud over HTTPS, as `skyhold serve` listens; its port."""
    server = make_server(cloud.core, cloud.core.asgi)
    server.config.load()
    server.config.ssl = secure
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await task


async def over_tls(port: int, context: ssl.SSLContext, body: str) -> bytes:
    """The first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    head = [f"POST {V3}/OS-OAUTH2/token HTTP/1.1", "Host: x", f"Content-Type: {FORM}", f"Content-Length: {len(body)}"]
    writer.write("\r\n".join([*head, "", body]).encode())
    line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
    writer.close()
    return line
