# SPDX-License-Identifier: Apache-2.0
"""Placement's microversions, a line each.

What a field's range is stands at the field (the shapes of each resource), what a query may say in
logic/asking.py; differences in meaning ask `ctx.version >= versions.NAME`.
"""

from __future__ import annotations

from skyhold.core.versions import Version, Versions

AGGREGATES = Version(1, 1)
TRAITS = Version(1, 6)
OWNER_REQUIRED = Version(1, 8)
ALLOCATION_LINK = Version(1, 11)
ALLOCATIONS_BY_PROVIDER = Version(1, 12)
MODIFIED_HEADERS = Version(1, 15)
SUMMARY_TRAITS = Version(1, 17)
AGGREGATE_GENERATION = Version(1, 19)
CREATED_PROVIDER_SHOWN = Version(1, 20)
RESERVED_MAY_BE_TOTAL = Version(1, 26)
SUMMARY_ALL_CLASSES = Version(1, 27)
CONSUMER_GENERATION = Version(1, 28)
NESTED_CANDIDATES = Version(1, 29)
MAPPINGS = Version(1, 34)
REPARENTING = Version(1, 37)
CONSUMER_TYPES = Version(1, 38)

VERSIONS = Versions("placement", "1.0", "1.39", lines={
    "1.1": "Providers are members of aggregates.",
    "1.2": "Custom resource classes.",
    "1.3": "Providers are listed by aggregate: member_of.",
    "1.4": "Providers are listed by what they can serve: resources.",
    "1.5": "All inventories of a provider can be deleted at once.",
    "1.6": "Traits.",
    "1.7": "PUT of a resource class creates it, or checks that it exists.",
    "1.8": "PUT of allocations names the project and the user.",
    "1.9": "Usages of a project and of its users.",
    "1.10": "Allocation candidates.",
    "1.11": "A provider links to its allocations.",
    "1.12": "Allocations are written as they are read, by provider.",
    "1.13": "Allocations of several consumers are set in one request.",
    "1.14": "Providers form trees.",
    "1.15": "Answers say when they were modified, and are not to be cached.",
    "1.16": "Allocation candidates take a limit.",
    "1.17": "Allocation candidates by required traits; summaries show traits.",
    "1.18": "Providers are listed by required traits.",
    "1.19": "Aggregates of a provider are set under its generation.",
    "1.20": "Creating a provider answers 200 with the provider.",
    "1.21": "Allocation candidates by aggregate.",
    "1.22": "Forbidden traits.",
    "1.23": "Errors carry a code.",
    "1.24": "member_of may be given several times.",
    "1.25": "Numbered groups in requests for candidates, and group_policy.",
    "1.26": "An inventory may be reserved entirely.",
    "1.27": "Summaries show all classes of a provider.",
    "1.28": "Consumers have generations; PUT of allocations may be empty.",
    "1.29": "Candidates may use providers below a root.",
    "1.30": "The reshaper.",
    "1.31": "Candidates within one tree: in_tree.",
    "1.32": "Forbidden aggregates.",
    "1.33": "Groups may have names.",
    "1.34": "Candidates say which provider serves which group.",
    "1.35": "Traits that the root of a tree must or must not have.",
    "1.36": "Groups served within one subtree: same_subtree.",
    "1.37": "A provider may get another parent, or none.",
    "1.38": "Consumers have types.",
    "1.39": "One of several traits: required=in:…, repeatable.",
})
