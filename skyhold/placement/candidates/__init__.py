# SPDX-License-Identifier: Apache-2.0
"""Allocation candidates: which providers could serve a request, and how much of each."""
