# SPDX-License-Identifier: Apache-2.0
"""What the object store keeps true by itself."""
