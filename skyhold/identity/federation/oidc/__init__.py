# SPDX-License-Identifier: Apache-2.0
"""OpenID Connect with this cloud as the relying party."""
