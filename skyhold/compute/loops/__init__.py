# SPDX-License-Identifier: Apache-2.0
"""Compute's reconcilers, one file for what each keeps true."""
