# SPDX-License-Identifier: Apache-2.0
"""OAuth 1.0a (RFC 5849): programs of others that a user lets act, without telling them a password."""
