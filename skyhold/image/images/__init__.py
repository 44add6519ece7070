# SPDX-License-Identifier: Apache-2.0
"""The collection /v2/images: wire form, routes, operations and queries."""
