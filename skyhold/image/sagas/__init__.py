# SPDX-License-Identifier: Apache-2.0
"""Image's long operations: imports, and the hashing of locations."""
