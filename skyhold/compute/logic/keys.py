# SPDX-License-Identifier: Apache-2.0
"""SSH and X.509 keys: making a pair, and the fingerprint of a given one.

Keypairs as a resource are compute/keypairs.py. Fingerprints are MD5 for SSH, as OpenSSH printed
them when the API was made, and SHA-1 for certificates: they identify, they don't protect.
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from skyhold.core import errors


class Pair(NamedTuple):
    private_key: str
    public_key: str


def generate(kind: str) -> Pair:
    """A fresh RSA pair in OpenSSH form; takes about a tenth of a second."""
    if kind != "ssh":
        raise errors.Invalid("An x509 keypair can only be imported: send public_key.")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return Pair(private.decode(), public.decode() + " Generated-by-Skyhold")


def fingerprint(public_key: str, kind: str) -> str:
    """`aa:bb:…`; raises Invalid when the text isn't a key of that kind."""
    try:
        return colons(ssh_digest(public_key) if kind == "ssh" else certificate_digest(public_key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise errors.Invalid(f"Keypair data is invalid: failed to generate fingerprint ({error}).") from None


def ssh_digest(public_key: str) -> bytes:
    key = serialization.load_ssh_public_key(public_key.strip().encode())
    text = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return hashlib.md5(base64.b64decode(text.split()[1]), usedforsecurity=False).digest()


def certificate_digest(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA1())  # noqa: S303


def colons(digest: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in digest)
