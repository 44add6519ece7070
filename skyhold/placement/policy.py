# SPDX-License-Identifier: Apache-2.0
"""Placement's policy as data, under upstream's rule names: administrators and services.

A route names its rule where it is declared. The one thing to know first: what placement keeps
belongs to the cloud and not to projects, except the usages of a project, which its readers may see.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN_OR_SERVICE, PROJECT_READER, SCOPE_SYSTEM_PROJECT
from skyhold.core.policy.rules import Rule

RULES: list[Rule] = []


def rule(name: str, words: str, method: str, path: str, check: str = ADMIN_OR_SERVICE) -> Rule:
    made = Rule(f"placement:{name}", check, SCOPE_SYSTEM_PROJECT, words, ((method, path),))
    RULES.append(made)
    return made


ONE = "/resource_providers/{uuid}"

PROVIDERS_LIST = rule("resource_providers:list", "List resource providers.", "GET", "/resource_providers")
PROVIDERS_CREATE = rule("resource_providers:create", "Create a resource provider.", "POST", "/resource_providers")
PROVIDERS_SHOW = rule("resource_providers:show", "Show a resource provider.", "GET", ONE)
PROVIDERS_UPDATE = rule("resource_providers:update", "Update a resource provider.", "PUT", ONE)
PROVIDERS_DELETE = rule("resource_providers:delete", "Delete a resource provider.", "DELETE", ONE)

INVENTORIES_LIST = rule("resource_providers:inventories:list", "List inventories.", "GET", ONE + "/inventories")
INVENTORIES_CREATE = rule(
    "resource_providers:inventories:create", "Create one inventory.", "POST", ONE + "/inventories"
)
INVENTORIES_SHOW = rule(
    "resource_providers:inventories:show", "Show one inventory.", "GET", ONE + "/inventories/{resource_class}"
)
INVENTORIES_UPDATE = rule("resource_providers:inventories:update", "Set inventories.", "PUT", ONE + "/inventories")
INVENTORIES_DELETE = rule(
    "resource_providers:inventories:delete", "Delete inventories.", "DELETE", ONE + "/inventories"
)

AGGREGATES_LIST = rule("resource_providers:aggregates:list", "List aggregates.", "GET", ONE + "/aggregates")
AGGREGATES_UPDATE = rule("resource_providers:aggregates:update", "Set aggregates.", "PUT", ONE + "/aggregates")

PROVIDER_TRAITS_LIST = rule("resource_providers:traits:list", "List a provider's traits.", "GET", ONE + "/traits")
PROVIDER_TRAITS_UPDATE = rule("resource_providers:traits:update", "Set a provider's traits.", "PUT", ONE + "/traits")
PROVIDER_TRAITS_DELETE = rule(
    "resource_providers:traits:delete", "Take all traits from a provider.", "DELETE", ONE + "/traits"
)

PROVIDER_ALLOCATIONS = rule(
    "resource_providers:allocations:list", "List a provider's allocations.", "GET", ONE + "/allocations"
)
PROVIDER_USAGES = rule("resource_providers:usages", "Show a provider's usages.", "GET", ONE + "/usages")
TOTAL_USAGES = rule(
    "usages", "Show the usages of a project.", "GET", "/usages", f"{ADMIN_OR_SERVICE} or ({PROJECT_READER})"
)

TRAITS_LIST = rule("traits:list", "List traits.", "GET", "/traits")
TRAITS_SHOW = rule("traits:show", "Check whether a trait exists.", "GET", "/traits/{name}")
TRAITS_UPDATE = rule("traits:update", "Create a custom trait.", "PUT", "/traits/{name}")
TRAITS_DELETE = rule("traits:delete", "Delete a custom trait.", "DELETE", "/traits/{name}")

CLASSES_LIST = rule("resource_classes:list", "List resource classes.", "GET", "/resource_classes")
CLASSES_CREATE = rule("resource_classes:create", "Create a custom class.", "POST", "/resource_classes")
CLASSES_SHOW = rule("resource_classes:show", "Show a resource class.", "GET", "/resource_classes/{name}")
CLASSES_UPDATE = rule("resource_classes:update", "Create a custom class.", "PUT", "/resource_classes/{name}")
CLASSES_DELETE = rule("resource_classes:delete", "Delete a custom class.", "DELETE", "/resource_classes/{name}")

ALLOCATIONS_LIST = rule("allocations:list", "List a consumer's allocations.", "GET", "/allocations/{consumer_uuid}")
ALLOCATIONS_UPDATE = rule(
    "allocations:update", "Set a consumer's allocations.", "PUT", "/allocations/{consumer_uuid}"
)
ALLOCATIONS_MANAGE = rule("allocations:manage", "Set several consumers' allocations.", "POST", "/allocations")
ALLOCATIONS_DELETE = rule(
    "allocations:delete", "Delete a consumer's allocations.", "DELETE", "/allocations/{consumer_uuid}"
)

CANDIDATES_LIST = rule("allocation_candidates:list", "List allocation candidates.", "GET", "/allocation_candidates")
RESHAPE = rule("reshaper:reshape", "Move inventories and allocations at once.", "POST", "/reshaper")
