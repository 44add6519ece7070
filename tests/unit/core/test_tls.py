# SPDX-License-Identifier: Apache-2.0
"""Certificates of the cloud's own: made once, renewed in time, made anew when torn or misnamed.

A whole cloud that listens with them is tests/story/operator/test_processes.py.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from skyhold.cmd import serve
from skyhold.core import tls
from skyhold.core.app import Core
from skyhold.core.settings.sections import Http
from skyhold.core.settings.whole import Settings
from tests.kit.patience import PATIENCE_S

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, http=Http(tls="auto", host="0.0.0.0", public_url="https://cloud.example:8780"))


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def made(settings: Settings, now: datetime = NOW) -> x509.Certificate:
    found = tls.files(settings, now)
    assert found is not None
    return certificate(found[0])


def test_it_is_for_the_names_that_clients_use_and_signed_by_the_authority(settings: Settings) -> None:
    leaf = made(settings)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"cloud.example", "localhost"}
    assert {str(one) for one in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    leaf.verify_directly_issued_by(certificate(settings.tls_authority))
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    assert {path.stat().st_mode & 0o777 for path in settings.tls_dir.iterdir()} == {0o600}


def test_it_stays_until_thirty_days_before_its_end_and_the_authority_stays_on(settings: Settings) -> None:
    first, authority = made(settings), settings.tls_authority.read_bytes()
    assert made(settings, NOW + timedelta(days=59)) == first
    renewed = made(settings, NOW + timedelta(days=61))
    assert renewed.not_valid_after_utc > first.not_valid_after_utc
    assert settings.tls_authority.read_bytes() == authority


@pytest.mark.parametrize("name", ["server.crt", "server.key"])
def test_a_torn_file_is_made_anew(settings: Settings, name: str) -> None:
    first = made(settings)
    (settings.tls_dir / name).write_bytes(b"")
    again = made(settings)
    assert again != first and tls.server_context(settings) is not None


def test_another_name_makes_another_certificate(settings: Settings) -> None:
    made(settings)
    moved = Settings(home=settings.home, http=Http(tls="auto", public_url="https://other.example"))
    names = made(moved).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "other.example" in names.get_values_for_type(x509.DNSName)


def test_off_is_off_and_files_that_are_not_there_are_an_error(settings: Settings) -> None:
    assert tls.server_context(Settings(home=settings.home)) is None
    with pytest.raises(OSError, match="No such file"):
        tls.server_context(Settings(home=settings.home, http=Http(tls="files", tls_certificate="/no", tls_key="/no")))


def test_processes_that_renew_at_the_same_time_make_one_pair(settings: Settings) -> None:
    made(settings)
    later = NOW + timedelta(days=61)
    threads = [threading.Thread(target=tls.files, args=(settings, later)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    renewed = certificate(settings.tls_dir / "server.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls_dir / "server.crt", settings.tls_dir / "server.key")
    assert made(settings, later) == renewed


async def test_a_running_server_renews_without_a_restart(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are open stay so; the next one is shown the new certificate, by the same authority."""
    monkeypatch.setattr(serve, "DAY_S", 0.05)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    core.settings = settings = Settings(home=core.settings.home, http=Http(tls="auto", port=port))
    context = tls.server_context(settings)
    assert context is not None
    serving = asyncio.create_task(serve.listen_until_told(core, [listener], context))
    trusting = ssl.create_default_context(cafile=str(settings.tls_authority))
    reader, writer = await until_listening(port, trusting)
    first = shown(writer)
    authority = tls.kept(settings.tls_dir, "ca")
    assert authority is not None
    old = tls.signed(authority, tls.names_of(settings), datetime.now(UTC) - timedelta(days=61))
    tls.write(settings.tls_dir, "server", old)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            _, other = await until_listening(port, trusting)
            new = shown(other)
            other.close()
            if new not in (first, old[0]):
                break
            await asyncio.sleep(0.02)
    assert new.not_valid_after_utc - datetime.now(UTC) > timedelta(days=89)
    writer.write(b"GET /healthcheck HTTP/1.1\r\nHost: test\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def until_listening(port: int, trusting: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
            except OSError:
                await asyncio.sleep(0.02)


def shown(writer: asyncio.StreamWriter) -> x509.Certificate:
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(found)
