# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and signatures for the tests of signed images."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

from skyhold.image.logic.signing import HASHES

NOW = datetime.now(UTC)
KEYS: dict[str, Any] = {}


def key(kind: str) -> Any:
    """One of each kind is enough, for they take long to make."""
    if kind not in KEYS:
        KEYS[kind] = {
            "RSA-PSS": lambda: rsa.generate_private_key(65537, 2048),
            "DSA": lambda: dsa.generate_private_key(2048),
            "ECC_SECP521R1": lambda: ec.generate_private_key(ec.SECP521R1()),
            "ECC_SECP384R1": lambda: ec.generate_private_key(ec.SECP384R1()),
        }[kind]()
    return KEYS[kind]


def certify(
    name: str, subject: Any, issuer: x509.Certificate | None = None, issuer_key: Any = None, *,
    ca: bool = False, path_length: int | None = None, days: tuple[int, int] = (-1, 10), may_sign: bool | None = None,
) -> x509.Certificate:
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder().subject_name(own).issuer_name(issuer.subject if issuer else own)
        .public_key(subject.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0])).not_valid_after(NOW + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if may_sign is not None:
        usage = x509.KeyUsage(True, False, False, False, False, may_sign, False, False, False)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key or subject, hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def sign(kind: str, method: str, content: bytes, signer: Any = None) -> str:
    """As `openssl dgst -sign` does it; base 64."""
    name, algorithm = HASHES[method]
    digest, hashed = hashlib.new(name, content).digest(), utils.Prehashed(algorithm)
    signer = signer or key(kind)
    if kind == "RSA-PSS":
        pss = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=padding.PSS.MAX_LENGTH)
        made = signer.sign(digest, pss, hashed)
    elif kind == "DSA":
        made = signer.sign(digest, hashed)
    else:
        made = signer.sign(digest, ec.ECDSA(hashed))
    return base64.b64encode(made).decode()


def properties(kind: str, method: str, content: bytes, certificate_id: str, signer: Any = None) -> dict[str, str]:
    return {
        "img_signature": sign(kind, method, content, signer), "img_signature_hash_method": method,
        "img_signature_key_type": kind, "img_signature_certificate_uuid": certificate_id,
    }
