# SPDX-License-Identifier: Apache-2.0
"""The object store: accounts, containers and objects, over the protocols that speak of them."""
