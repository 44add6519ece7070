# SPDX-License-Identifier: Apache-2.0
"""Signed images: where the certificates come from, and the check of content that has come.

What a signature means is logic/signing.py. The one thing to know first: certificates are asked of sources in
turn; the first is a folder that the operator fills, and a service that keeps secrets adds itself with
`add_source`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from cryptography import x509

from skyhold.core import errors
from skyhold.core.blobs.base import Piece
from skyhold.core.context import Context
from skyhold.image.logic import signing
from skyhold.image.logic.signing import Signed, Unverified

if TYPE_CHECKING:
    from skyhold.core.app import Core

SHELF: Final = "image.certificates"
UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
SUFFIXES: Final = (".pem", ".crt", ".der")
MOST_BYTES: Final = 64 * 1024


class CertificateSource(Protocol):
    """Something that keeps certificates by their ids."""

    async def find(self, ctx: Context, certificate_id: str) -> bytes | None:
        """PEM or DER; None where there is none of this id, or none that the caller may use."""


class Folder:
    """`<id>.pem` (or .crt, .der) in image-certificates of the state directory: an operator's, for everybody."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def find(self, ctx: Context, certificate_id: str) -> bytes | None:
        return await asyncio.to_thread(self._read, certificate_id.lower())

    def _read(self, name: str) -> bytes | None:
        for suffix in SUFFIXES:
            try:
                with open(self._path / (name + suffix), "rb") as file:
                    return file.read(MOST_BYTES)
            except FileNotFoundError:
                continue
        return None


def sources(core: Core) -> list[CertificateSource]:
    kept: list[CertificateSource] | None = core.shelf.get(SHELF)
    if kept is None:
        kept = core.shelf[SHELF] = [Folder(core.settings.home / "image-certificates")]
    return kept


def add_source(core: Core, source: CertificateSource) -> None:
    sources(core).append(source)


async def certificate(ctx: Context, certificate_id: str) -> x509.Certificate:
    """Raises Unverified."""
    # An id becomes the name of a file: nothing else does.
    if UUID.fullmatch(certificate_id):
        for source in sources(ctx.core):
            content = await source.find(ctx, certificate_id)
            if content is not None:
                return signing.certificate_from(content)
    raise Unverified(f"There is no certificate {certificate_id[:40]!r} to verify the image's signature with.")


class Verifier:
    """One content that is verified while it comes: `feed` each piece, then `conclude`."""

    def __init__(self, signed: Signed, by: x509.Certificate) -> None:
        self.algorithm = signed.algorithm
        self.by = by
        self._signed = signed
        self._hash = hashlib.new(signed.algorithm)

    def feed(self, piece: Piece) -> None:
        self._hash.update(piece)

    def conclude(self) -> None:
        """Raises Unverified."""
        self.judge(self._hash.digest())

    def judge(self, digest: bytes) -> None:
        """By a digest, of this algorithm, that is known already. Raises Unverified."""
        signing.verify(self._signed, digest, self.by, datetime.now(UTC))


async def verifier(ctx: Context, properties: dict[str, str]) -> Verifier | None:
    """None for an image that isn't signed. Raises Invalid before any content is read in vain."""
    try:
        signed = signing.promised(properties)
        if signed is None:
            return None
        by = await certificate(ctx, signed.certificate_id)
        signing.check_dates(by, datetime.now(UTC))
        return Verifier(signed, by)
    except Unverified as why:
        raise refused(why) from None


async def trusted_verifier(ctx: Context, row: Any, trusted_ids: list[str]) -> Verifier:
    """Of an image that must be signed, by a certificate that the trusted ones vouch for. Raises Invalid."""
    found = await verifier(ctx, row.properties)
    if found is None:
        raise errors.Invalid(
            f"Image {row.id} is not signed, and only images signed by trusted certificates are wanted.",
            reason="image_signature_refused",
        )
    try:
        trusted = [await certificate(ctx, each) for each in trusted_ids]
        signing.check_trust(found.by, trusted, datetime.now(UTC))
    except Unverified as why:
        raise refused(why) from None
    return found


def refused(why: Unverified) -> errors.Invalid:
    return errors.Invalid(str(why), reason="image_signature_refused")
