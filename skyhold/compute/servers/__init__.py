# SPDX-License-Identifier: Apache-2.0
"""Servers: the resource that compute exists for."""
