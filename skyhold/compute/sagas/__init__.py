# SPDX-License-Identifier: Apache-2.0
"""Compute's long work, one file an operation."""
