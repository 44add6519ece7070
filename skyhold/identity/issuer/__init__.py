# SPDX-License-Identifier: Apache-2.0
"""This cloud as an issuer of OpenID Connect: other programs let its users sign in."""
