# SPDX-License-Identifier: Apache-2.0
"""SAML 2.0: this cloud as a service provider, and as an identity provider for other clouds."""
