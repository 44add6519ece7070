# SPDX-License-Identifier: Apache-2.0
"""Placement: who has how much of what, and who uses it."""
