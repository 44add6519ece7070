# SPDX-License-Identifier: Apache-2.0
"""People whose passwords are elsewhere: identity providers, mappings, OpenID Connect and SAML."""
