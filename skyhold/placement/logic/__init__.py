# SPDX-License-Identifier: Apache-2.0
"""Placement's decisions without I/O."""
