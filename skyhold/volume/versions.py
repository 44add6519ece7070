# SPDX-License-Identifier: Apache-2.0
"""Volume's microversions: those that change what this service does or says, a line each.

What a field's range is stands at the field; differences in meaning ask `ctx.version >= versions.NAME`.
Versions between those named change nothing here.
"""

from __future__ import annotations

from skyhold.core.versions import Version, Versions

SUMMARY_METADATA = Version(3, 36)
SNAPSHOT_IN_USE = Version(3, 66)

VERSIONS = Versions(
    "volume", "3.0", "3.70",
    aliases=("block-storage", "volumev3", "cinder"),
    lines={
        "3.1": "A volume is uploaded to an image with its visibility and protection.",
        "3.3": "Messages tell what went wrong.",
        "3.12": "Volumes are summed up.",
        "3.13": "Volumes may name a group.",
        "3.21": "Administrators see a provider's id.",
        "3.27": "Attachments are a resource.",
        "3.36": "The summary of volumes lists their metadata.",
        "3.41": "Snapshots name the user who made them.",
        "3.44": "Attachments are completed.",
        "3.45": "Lists can say how many there are in all.",
        "3.47": "Volumes may name a backup.",
        "3.48": "Volumes name their service, and whether its targets are shared.",
        "3.53": "Unknown fields of a new volume are refused.",
        "3.54": "Attachments have a mode.",
        "3.61": "Administrators see a volume's cluster.",
        "3.63": "Volumes name their type's id.",
        "3.65": "Volumes and snapshots say whether they count.",
        "3.66": "Snapshots of volumes in use need no `force`.",
        "3.67": "The project's id may be left out of the path.",
    },
)
