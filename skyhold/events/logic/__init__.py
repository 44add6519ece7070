# SPDX-License-Identifier: Apache-2.0
"""Decisions without I/O: how a delivery is signed, and when a failed one is tried again. Who delivers is
loops/deliver.py. Nothing here knows a clock: moments are given.
"""
