# SPDX-License-Identifier: Apache-2.0
"""Decisions about images without I/O."""
