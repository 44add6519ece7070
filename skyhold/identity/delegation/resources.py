# SPDX-License-Identifier: Apache-2.0
"""Delegation's index: its resources, as identity's manifest takes them in."""

from __future__ import annotations

from skyhold.identity.delegation import credentials, ec2_keys, ec2_tokens, oauth2, policy, trusts
from skyhold.identity.delegation.oauth1 import access_tokens, consumers, dance

ROUTES = [
    credentials.routes, ec2_keys.routes, ec2_tokens.routes, trusts.routes, consumers.routes, dance.routes,
    access_tokens.routes, oauth2.routes,
]
RULES = policy.RULES
