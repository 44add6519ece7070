# SPDX-License-Identifier: Apache-2.0
"""Compute's policy as data, under upstream's rule names.

The language is core/policy/language.py; a route names its rule where it is declared (api parts of
each resource). Rules of tenants' resources become WHERE clauses in every look-up.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN_OR_OWNER
from skyhold.core.policy.rules import Rule

PROJECT = ("project",)


def keypair(verb: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(f"os_compute_api:os-keypairs:{verb}", ADMIN_OR_OWNER, PROJECT, words, operations, lists=True)


KEYPAIRS_INDEX = keypair("index", "List keypairs.", ("GET", "/os-keypairs"))
KEYPAIRS_SHOW = keypair("show", "Show a keypair.", ("GET", "/os-keypairs/{keypair_name}"))
KEYPAIRS_CREATE = keypair("create", "Create or import a keypair.", ("POST", "/os-keypairs"))
KEYPAIRS_DELETE = keypair("delete", "Delete a keypair.", ("DELETE", "/os-keypairs/{keypair_name}"))

RULES = [KEYPAIRS_INDEX, KEYPAIRS_SHOW, KEYPAIRS_CREATE, KEYPAIRS_DELETE]
