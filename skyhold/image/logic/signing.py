# SPDX-License-Identifier: Apache-2.0
"""Whether a signature is that of a hash, by a certificate's key: what the properties of a signed image mean.

Where certificates come from and when images are verified is image/signatures.py. The one thing to know
first: an image counts as signed only with all four properties, as in Glance; with fewer they are just words.

Follows Glance's image signature verification: RSA-PSS with MGF1 over the same hash and any length of salt,
DSA and ECDSA in their DER form; the signature is of the hash named, not of Glance's own hash of the image.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, utils

SIGNATURE: Final = "img_signature"
HASH_METHOD: Final = "img_signature_hash_method"
KEY_TYPE: Final = "img_signature_key_type"
CERTIFICATE: Final = "img_signature_certificate_uuid"
ALL: Final = (SIGNATURE, HASH_METHOD, KEY_TYPE, CERTIFICATE)
HASHES: Final[dict[str, tuple[str, hashes.HashAlgorithm]]] = {
    "SHA-224": ("sha224", hashes.SHA224()), "SHA-256": ("sha256", hashes.SHA256()),
    "SHA-384": ("sha384", hashes.SHA384()), "SHA-512": ("sha512", hashes.SHA512()),
}
CURVES: Final = {"ECC_SECP521R1": "secp521r1", "ECC_SECP384R1": "secp384r1"}
GIVEN_UP: Final = frozenset({"ECC_SECT571K1", "ECC_SECT409K1", "ECC_SECT571R1", "ECC_SECT409R1"})
"""Curves over binary fields: the cryptography library no longer has them."""


class Unverified(Exception):
    """The image isn't what its signature says, or that can't be found out; the text is for the user."""


class Signed(msgspec.Struct, frozen=True):
    """What an image's properties promise. `algorithm` is hashlib's name of the hash."""

    signature: bytes
    hash_method: str
    key_type: str
    certificate_id: str

    @property
    def algorithm(self) -> str:
        return HASHES[self.hash_method][0]


def promised(properties: Mapping[str, str]) -> Signed | None:
    """None for an image that isn't signed. Raises Unverified for one whose properties can't be right."""
    if not all(properties.get(name) for name in ALL):
        return None
    method, key_type = properties[HASH_METHOD], properties[KEY_TYPE]
    if method not in HASHES:
        raise Unverified(f"{HASH_METHOD} is {method[:40]!r}; it can be {', '.join(HASHES)}.")
    if key_type in GIVEN_UP:
        raise Unverified(f"Signatures by {key_type} can't be verified here: such curves are no longer supported.")
    if key_type not in ("RSA-PSS", "DSA", *CURVES):
        raise Unverified(f"{KEY_TYPE} is {key_type[:40]!r}; it can be RSA-PSS, DSA, {', '.join(CURVES)}.")
    try:
        signature = base64.b64decode(properties[SIGNATURE], validate=True)
    except (binascii.Error, ValueError):
        raise Unverified(f"{SIGNATURE} is not base 64.") from None
    return Signed(signature, method, key_type, properties[CERTIFICATE])


def certificate_from(content: bytes) -> x509.Certificate:
    """PEM or DER. Raises Unverified."""
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except ValueError:
        raise Unverified("The certificate of the image's signature can't be read.") from None


def verify(signed: Signed, digest: bytes, certificate: x509.Certificate, now: datetime) -> None:
    """Raises Unverified unless the certificate's key signed `digest`, the hash of the whole content."""
    check_dates(certificate, now)
    key = certificate.public_key()
    algorithm = HASHES[signed.hash_method][1]
    hashed = utils.Prehashed(algorithm)
    try:
        if signed.key_type == "RSA-PSS" and isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=padding.PSS.AUTO)
            key.verify(signed.signature, digest, pss, hashed)
        elif signed.key_type == "DSA" and isinstance(key, dsa.DSAPublicKey):
            key.verify(signed.signature, digest, hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == CURVES.get(signed.key_type):
            key.verify(signed.signature, digest, ec.ECDSA(hashed))
        else:
            raise Unverified(f"The key of the certificate is not of the type {signed.key_type}.")
    except InvalidSignature:
        raise Unverified("Signature verification for the image failed: its content is not what was signed.") from None


def check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Unverified(
            f"The certificate of the image's signature is valid from {certificate.not_valid_before_utc:%Y-%m-%d} "
            f"to {certificate.not_valid_after_utc:%Y-%m-%d} only."
        )


def check_trust(certificate: x509.Certificate, trusted: Sequence[x509.Certificate], now: datetime) -> None:
    """Raises Unverified unless a chain of `trusted` certificates leads from one that signed itself to this.

    Each that signs another must be allowed to sign certificates, for a path as long as it is used in.
    """
    last, below, left = certificate, 0, list(trusted)
    while not (last in trusted and signed_itself(last)):
        check_dates(last, now)
        issuer = next((each for each in left if issued(last, each, below)), None)
        if issuer is None:
            raise Unverified("The certificate of the image's signature was issued by none of the trusted ones.")
        left.remove(issuer)
        last, below = issuer, below + 1
    check_dates(last, now)


def signed_itself(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def issued(certificate: x509.Certificate, issuer: x509.Certificate, between: int) -> bool:
    """Whether `issuer` signed it, and might, with `between` certificates below it before the image's own."""
    try:
        certificate.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    if not constraints.ca or (constraints.path_length is not None and constraints.path_length < between):
        return False
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True
