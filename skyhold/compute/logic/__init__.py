# SPDX-License-Identifier: Apache-2.0
"""Compute's decisions: no input or output, no clock, no randomness."""
