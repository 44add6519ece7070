# SPDX-License-Identifier: Apache-2.0
"""Assignments: who has which role where, given one by one and listed in all ways."""
