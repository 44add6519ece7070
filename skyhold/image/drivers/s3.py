# SPDX-License-Identifier: Apache-2.0
"""Images as objects of any S3 store, one object a blob, sent in parts.

The interface is drivers/base.py. boto3 is loaded with the first image, because it takes longer than the whole
program. An object appears with the end of its multipart upload, so that nobody ever sees half of one; and what an
upload that died left behind is found among the unfinished uploads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from skyhold.image.drivers.base import NoSuchBlob, Piece, StoreAway, StoreFull

MIB = 1024 * 1024
PART_BYTES = 16 * MIB
MOST_PARTS = 10_000
MISSING = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload"})
FULL = frozenset({"QuotaExceeded", "InsufficientCapacity", "EntityTooLarge", "XMinioStorageFull"})
CONNECT_S, READ_S, TRIES = 10, 60, 3


class S3Store:
    """`endpoint` empty is AWS itself; keys empty are taken from where the AWS tools look for them."""

    kind = "s3"
    read_only = False
    far = True

    def __init__(
        self, *, bucket: str, endpoint: str = "", region: str = "", access_key: str = "", secret_key: str = "",
        make_bucket: bool = False, name: str = "s3",
    ) -> None:
        self.name, self._bucket, self._endpoint, self._region = name, bucket, endpoint, region
        self._access_key, self._secret_key, self._make_bucket = access_key, secret_key, make_bucket
        self._made: Any = None

    def create(self, key: str, expected_bytes: int | None = None) -> S3Writer:
        if key in set(self._under(key)):
            raise FileExistsError(key)
        # The last part may be short, and ten thousand are the most there can be.
        part_bytes = max(PART_BYTES, -(-(expected_bytes or 0) // (MOST_PARTS * MIB)) * MIB)
        return S3Writer(self, key, part_bytes)

    def open(self, key: str) -> S3Reader:
        return S3Reader(self, key)

    def delete(self, key: str) -> None:
        for upload in self.uploads(key):
            with suppress(NoSuchBlob):
                self.ask("abort_multipart_upload", Key=key, UploadId=upload["UploadId"])
        self.ask("delete_object", Key=key)

    def path(self, key: str) -> Path | None:
        return None

    def url(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    def keys(self) -> Iterator[str]:
        yield from sorted(set(self._under("")))

    def free_bytes(self) -> int | None:
        return None

    def properties(self) -> dict[str, Any]:
        return {"s3_store_host": self._endpoint or "s3.amazonaws.com", "s3_store_bucket": self._bucket}

    def ask(self, call: str, **wanted: Any) -> Any:
        """Raises NoSuchBlob, StoreFull, StoreAway."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client(), call)(Bucket=self._bucket, **wanted)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in MISSING:
                raise NoSuchBlob(f"The store {self.name} has nothing under {wanted.get('Key')}.") from None
            if code in FULL:
                raise StoreFull(f"The store {self.name} is full ({code}).") from None
            raise StoreAway(f"The store {self.name} refuses: {code}.") from None
        except BotoCoreError as error:
            raise StoreAway(f"The store {self.name} can't be asked: {error}") from None

    def _client(self) -> Any:
        if self._made is None:
            import boto3
            from botocore.config import Config

            self._made = boto3.session.Session().client(
                "s3", endpoint_url=self._endpoint or None, region_name=self._region or None,
                aws_access_key_id=self._access_key or None, aws_secret_access_key=self._secret_key or None,
                config=Config(
                    connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"max_attempts": TRIES},
                    # Stores that are not AWS know neither its newer checksums nor a host name for each bucket.
                    s3={"addressing_style": "path" if self._endpoint else "auto"},
                    request_checksum_calculation="when_required", response_checksum_validation="when_required",
                ),
            )
            if self._make_bucket:
                self._ensure_bucket()
        return self._made

    def _ensure_bucket(self) -> None:
        try:
            self.ask("head_bucket")
        except (NoSuchBlob, StoreAway):
            self.ask("create_bucket")

    def _under(self, prefix: str) -> Iterator[str]:
        after: dict[str, str] = {}
        while True:
            page = self.ask("list_objects_v2", Prefix=prefix, **after)
            yield from (found["Key"] for found in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                break
            after = {"ContinuationToken": page["NextContinuationToken"]}
        yield from (found["Key"] for found in self.uploads(prefix))

    def uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        after: dict[str, str] = {}
        while True:
            page = self.ask("list_multipart_uploads", Prefix=prefix, **after)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


class S3Writer:
    far = True

    def __init__(self, store: S3Store, key: str, part_bytes: int) -> None:
        self._store, self._key, self._part_bytes = store, key, part_bytes
        self._waiting = bytearray()
        self._parts: list[dict[str, Any]] = []
        self._upload = store.ask("create_multipart_upload", Key=key)["UploadId"]
        self._open = True

    def write(self, piece: Piece) -> None:
        self._waiting += piece
        while len(self._waiting) >= self._part_bytes:
            self._send(bytes(self._waiting[:self._part_bytes]))
            del self._waiting[:self._part_bytes]

    def commit(self) -> None:
        try:
            self._finish()
        except StoreAway:
            # Some stores answer for an upload that was given up as if they had broken.
            if any(each["UploadId"] == self._upload for each in self._store.uploads(self._key)):
                raise
            raise NoSuchBlob(f"{self._key} was deleted while it was written.") from None

    def _finish(self) -> None:
        if self._waiting or not self._parts:
            self._send(bytes(self._waiting))
        self._store.ask(
            "complete_multipart_upload", Key=self._key, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
        )
        self._open = False

    def abort(self) -> None:
        if self._open:
            self._open = False
            with suppress(NoSuchBlob):
                self._store.ask("abort_multipart_upload", Key=self._key, UploadId=self._upload)

    def _send(self, part: bytes) -> None:
        number = len(self._parts) + 1
        sent = self._store.ask("upload_part", Key=self._key, UploadId=self._upload, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


class S3Reader:
    """Reads forward over one answer, and asks anew for another place."""

    far = True

    def __init__(self, store: S3Store, key: str) -> None:
        self._store, self._key = store, key
        self._body: Any = None
        self._at = 0
        found = store.ask("get_object", Key=key)
        self.size_bytes = int(found["ContentLength"])
        self._body = found["Body"]

    def ready(self, offset: int, length: int) -> bytes | None:
        return None

    def read(self, offset: int, length: int) -> bytes:
        from botocore.exceptions import BotoCoreError

        if offset >= self.size_bytes:
            return b""
        if offset != self._at or self._body is None:
            self.close()
            self._body = self._store.ask("get_object", Key=self._key, Range=f"bytes={offset}-")["Body"]
            self._at = offset
        try:
            piece: bytes = self._body.read(length)
        except (BotoCoreError, OSError) as error:
            raise StoreAway(f"The store {self._store.name} broke off: {error}") from None
        self._at += len(piece)
        return piece

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
