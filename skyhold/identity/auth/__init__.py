# SPDX-License-Identifier: Apache-2.0
"""Authentication and tokens: from a proof to a token, and from a token to what it allows."""
