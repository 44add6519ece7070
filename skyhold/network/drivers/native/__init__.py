# SPDX-License-Identifier: Apache-2.0
"""The native Linux network engine: bridges, taps, nftables and namespaces on one host."""
