# SPDX-License-Identifier: Apache-2.0
"""Domains whose users and groups are kept in a directory elsewhere, and are only read here."""
