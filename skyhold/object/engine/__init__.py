# SPDX-License-Identifier: Apache-2.0
"""What every protocol of the object store shares: rows, bytes, and who may."""
