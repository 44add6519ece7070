# SPDX-License-Identifier: Apache-2.0
"""Skyhold: the whole of OpenStack as one program."""
