# SPDX-License-Identifier: Apache-2.0
"""Real servers for the conformance suite of stores: one of S3, one of Ceph, for a whole run."""

from __future__ import annotations

from tests.drivers.image.servers import ceph, s3_server

__all__ = ["ceph", "s3_server"]
