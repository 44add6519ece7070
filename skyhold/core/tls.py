# SPDX-License-Identifier: Apache-2.0
"""Certificates of the cloud's own making, for `http.tls = "auto"`.

Who listens with them is core/http/server.py, by way of cmd/serve.py. There is an authority and a certificate
it signs: clients trust the authority once (`cacert`), and don't notice when the certificate is renewed.
"""

from __future__ import annotations

import fcntl
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from skyhold.core.settings.whole import Settings

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
# Clocks of clients may be behind ours.
SKEW = timedelta(hours=1)

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def files(settings: Settings, now: datetime | None = None) -> tuple[Path, Path] | None:
    """Certificate and key to listen with, made or renewed if need be; None when TLS is off."""
    if settings.http.tls == "off":
        return None
    if settings.http.tls == "files":
        return Path(settings.http.tls_certificate), Path(settings.http.tls_key)
    directory = settings.tls_dir
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = now or datetime.now(UTC)
    with in_turn(directory / ".turn"):
        authority = kept(directory, "ca") or made_authority(directory, now)
        names = names_of(settings)
        if not good(kept(directory, "server"), authority, names, now):
            write(directory, "server", signed(authority, names, now))
    return directory / "server.crt", directory / "server.key"


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """What to listen with. `renew` loads a new certificate into it. Raises OSError for files that won't do."""
    found = files(settings)
    if found is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*found)
    if settings.http.tls_client_authorities:
        # Asked for, not demanded: most clients have none, and whose it is says identity.
        context.load_verify_locations(settings.http.tls_client_authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def renew(settings: Settings, context: ssl.SSLContext) -> None:
    """New connections get the certificate that is on disk now, renewed first if it is ours and old."""
    found = files(settings)
    if found is not None:
        context.load_cert_chain(*found)


def trust(settings: Settings) -> None:
    """Let this process's own requests to the cloud trust its authority."""
    if settings.http.tls == "auto":
        os.environ["SSL_CERT_FILE"] = str(settings.tls_authority)


def distrust(settings: Settings) -> None:
    """Undo `trust` of a parent process: who fetches from the world needs the system's authorities."""
    if os.environ.get("SSL_CERT_FILE") == str(settings.tls_authority):
        del os.environ["SSL_CERT_FILE"]


def names_of(settings: Settings) -> list[str]:
    """The names and addresses that clients may reach us by."""
    public = urlsplit(settings.public_url).hostname or "localhost"
    names = {public, "localhost", "127.0.0.1", "::1", settings.http.host} - {"", "0.0.0.0", "::"}  # noqa: S104
    return sorted(names)


# ---- making --------------------------------------------------------------------------------


def made_authority(directory: Path, now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = named("Skyhold authority")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )
    certificate = (
        begun(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write(directory, "ca", (certificate, key))
    return certificate, key


def signed(authority: Pair, names: list[str], now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority[0]
    certificate = (
        begun(named("Skyhold"), issuer.subject, key, now, LIFE)
        .add_extension(x509.SubjectAlternativeName([general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority[1].public_key()), critical=False)
        .sign(authority[1], hashes.SHA256())
    )
    return certificate, key


def begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - SKEW).not_valid_after(now + life)
    )


def named(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def good(pair: Pair | None, authority: Pair, names: list[str], now: datetime) -> bool:
    """Still long valid, of this authority, and for exactly these names."""
    if pair is None:
        return False
    certificate = pair[0]
    try:
        certificate.verify_directly_issued_by(authority[0])
        said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:
        # Whatever is wrong with it, another is made.
        return False
    return certificate.not_valid_after_utc - now > RENEW_BEFORE and list(said) == [general(each) for each in names]


# ---- files ---------------------------------------------------------------------------------


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Control processes that renew at the same hour would mix one's key with the other's certificate."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def kept(directory: Path, name: str) -> Pair | None:
    """None when it isn't there or is torn."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())
        key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
    except (OSError, ValueError):
        return None
    ours = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    return (certificate, key) if ours else None  # type: ignore[return-value]


def write(directory: Path, name: str, pair: Pair) -> None:
    """Each file whole or not at all; a pair that doesn't match after a power cut is made anew."""
    private = pair[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for suffix, content in (("key", private), ("crt", pair[0].public_bytes(serialization.Encoding.PEM))):
        temporary = directory / f".{name}.{suffix}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(directory / f"{name}.{suffix}")
