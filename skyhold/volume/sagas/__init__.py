# SPDX-License-Identifier: Apache-2.0
"""Volume's long work, one file an operation."""
