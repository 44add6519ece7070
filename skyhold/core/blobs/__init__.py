# SPDX-License-Identifier: Apache-2.0
"""Content of any size: streams that become blobs, blobs that become streams, in constant memory."""
