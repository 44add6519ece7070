# SPDX-License-Identifier: Apache-2.0
"""This cloud as a party of SAML: its names, its key and certificate, and the tool that signs and verifies.

What is said is consumer.py (to identity providers) and assertions.py (to other clouds). The key is made when first
needed, unless the operator names files; other parties learn the certificate from the metadata.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from skyhold.core import errors
from skyhold.identity.federation.agreements import agreements

if TYPE_CHECKING:
    from skyhold.core.app import Core

T = TypeVar("T")

WORKERS = 2
WAITING_MOST = 64
YEARS = 10
BITS = 3072
BASE = "/v3/auth/OS-FEDERATION/saml2"
ACS = BASE + "/acs"
SP_METADATA = BASE + "/sp"
IDP_METADATA = "/v3/OS-FEDERATION/saml2/metadata"


class Files(NamedTuple):
    certificate: str
    key: str


def url(core: Core, path: str) -> str:
    return f"{core.settings.public_url}/identity{path}"


def auth_url(core: Core, provider_id: str, protocol_id: str) -> str:
    return url(core, f"/v3/OS-FEDERATION/identity_providers/{provider_id}/protocols/{protocol_id}/auth")


def tool() -> str:
    """The path of xmlsec1. Raises Unavailable, naming the remedy."""
    found = shutil.which("xmlsec1")
    if found is None:
        raise errors.Unavailable("SAML needs the program xmlsec1: the operator installs the package xmlsec1.")
    return found


class Bench:
    """Where the blocking work is done: a few threads of its own, and a bounded queue before them, for anybody can
    send something to verify."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="saml")
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Raises Unavailable when too much waits."""
        if self._waiting >= WAITING_MOST:
            raise errors.Unavailable("Too many sign-ins by SAML at once: try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


async def aside(core: Core, work: Callable[[], T]) -> T:
    found: Bench | None = core.shelf.get("identity.saml_bench")
    if found is None:
        found = core.shelf["identity.saml_bench"] = Bench()
    return await found.run(work)


def files(core: Core) -> Files:
    """Slow when the key is made: not for the event loop."""
    told = agreements(core).own_saml
    if told.certificate and told.key:
        return Files(told.certificate, told.key)
    folder = core.settings.keys_dir / "saml"
    made = Files(str(folder / "certificate.pem"), str(folder / "key.pem"))
    if not Path(made.certificate).exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / "lock").open("w") as lock:
            # Two that are first at once, in threads or processes, must not mix their halves.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not Path(made.certificate).exists():
                make(core, made)
    return made


def make(core: Core, into: Files) -> None:
    """The certificate last: once it is there, both are."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Skyhold SAML")])
    now = datetime.fromtimestamp(core.clock() / 1e6, UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS)).sign(key, hashes.SHA256())
    )
    pem, format = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    write(Path(into.key), key.private_bytes(pem, format, serialization.NoEncryption()))
    write(Path(into.certificate), certificate.public_bytes(pem))


def write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary.rename(path)
