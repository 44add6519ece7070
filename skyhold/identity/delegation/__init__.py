# SPDX-License-Identifier: Apache-2.0
"""Rights handed on: credentials, trusts, OAuth1 and OAuth2; how far each reaches is
identity/auth/grounds.py."""
