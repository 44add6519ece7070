# SPDX-License-Identifier: Apache-2.0
"""Certificates of the cloud's own: made once, renewed in time, made anew when torn or misnamed.

Listening with them is tests/story/operator/test_processes.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from skyhold.core import tls
from skyhold.core.settings.sections import Http
from skyhold.core.settings.whole import Settings

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
