# SPDX-License-Identifier: Apache-2.0
"""Compute's microversions: those that change what this service does or says, a line each.

What a field's range is stands at the field (shape.py of each resource); differences in meaning
ask `ctx.version >= versions.NAME`. Versions between those named change nothing here.
"""

from __future__ import annotations

from skyhold.core.versions import Version, Versions

KEYPAIR_TYPES = Version(2, 2)
WHEN_VOLUMES_GO = Version(2, 3)
KEYPAIR_PAGES = Version(2, 35)
KEYPAIR_IMPORT_ONLY = Version(2, 92)
FLAVOR_EMBEDDED = Version(2, 47)
IMAGE_ID_IN_BODY = Version(2, 45)
NO_ACCESS_TO_PUBLIC = Version(2, 7)
NUMBERS_ALWAYS = Version(2, 75)
EXTRA_SPECS_CHECKED = Version(2, 86)
HOSTS_BY_UUID = Version(2, 53)
CPU_INFO_OBJECT = Version(2, 28)
ACTIONS_OF_DELETED = Version(2, 21)
EVENTS_FOR_OWNERS = Version(2, 51)
PAGED_ACTIONS = Version(2, 58)

VERSIONS = Versions(
    "compute", "2.1", "2.96",
    legacy_header="X-OpenStack-Nova-API-Version",
    aliases=("nova",),
    lines={
        "2.2": "Keypairs have types; creating one answers 201, deleting one 204.",
        "2.3": "Servers say which of their volumes go with them.",
        "2.10": "An administrator may act on another user's keypairs.",
        "2.35": "Keypairs are listed in pages.",
        "2.7": "Access can't be added to a public flavor.",
        "2.11": "Services can be forced down.",
        "2.21": "Actions of deleted servers can be seen.",
        "2.26": "Servers have tags.",
        "2.28": "A hypervisor's cpu_info is an object.",
        "2.33": "Hypervisors are listed in pages.",
        "2.36": "Quotas and limits of networks are no longer printed here.",
        "2.37": "Creating a server must say which networks, or `auto` or `none`.",
        "2.42": "Disks of a new server may have a tag.",
        "2.45": "createImage answers with the image's id in the body.",
        "2.47": "A server shows its flavor's values as they were, not a link.",
        "2.49": "Volumes may be attached with a tag.",
        "2.50": "Quota classes have limits for server groups, and none for networks.",
        "2.51": "Owners see the events of their servers' actions.",
        "2.53": "Services and hypervisors are known by UUID.",
        "2.55": "Flavors have a description.",
        "2.57": "No more injected files, nor quotas for them.",
        "2.58": "Actions have an updated_at, and are listed in pages.",
        "2.61": "Flavors show their extra specs.",
        "2.62": "Events of actions name their host, for owners as a hash.",
        "2.66": "Actions can be listed by changes-before.",
        "2.67": "Volumes made with a server may be of a named type.",
        "2.70": "Attached volumes show their tag.",
        "2.75": "Unknown query parameters are refused; a flavor without swap says 0.",
        "2.79": "Attaching a volume may say that it goes with the server; attachments show it.",
        "2.84": "Events of actions have details.",
        "2.85": "Whether an attached volume goes with its server can be changed.",
        "2.86": "Extra specs of flavors are checked when they are set.",
        "2.88": "Hypervisors no longer print numbers; ask placement.",
        "2.89": "Attached volumes show the ids of their attachment, no longer a second id.",
        "2.90": "Everybody sees a server's hostname, and may choose it.",
        "2.92": "Keypairs are only imported, never made by the server.",
    },
)
