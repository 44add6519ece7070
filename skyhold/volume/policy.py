# SPDX-License-Identifier: Apache-2.0
"""Volume's policy as data, under upstream's rule names.

The language is core/policy/language.py; a route names its rule where it is declared. Rules of tenants' resources
become WHERE clauses in every look-up.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN, ANYONE, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from skyhold.core.policy.rules import Rule

PROJECT = ("project",)
VOLUME = "/volumes/{volume_id}"
SNAPSHOT = "/snapshots/{snapshot_id}"
TYPE = "/types/{type_id}"
ATTACHMENT = "/attachments/{attachment_id}"


def reading(name: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(name, PROJECT_READER_OR_ADMIN, PROJECT, words, operations, lists=True)


def changing(name: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(name, PROJECT_MEMBER_OR_ADMIN, PROJECT, words, operations, lists=True)


def administering(name: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(name, ADMIN, PROJECT, words, operations, lists=True)


def for_all(name: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(name, ANYONE, PROJECT, words, operations)


def action(name: str, words: str, key: str) -> Rule:
    """A rule of one action on a volume, for members of its project."""
    return changing("volume" + name, words, ("POST", f"{VOLUME}/action ({key})"))


VOLUMES_LIST = reading("volume:get_all", "List volumes.", ("GET", "/volumes"), ("GET", "/volumes/detail"),
                       ("GET", "/volumes/summary"))
VOLUMES_LIST_ALL = administering("volume:get_all:all_tenants", "List volumes of all projects.", ("GET", "/volumes"))
VOLUMES_SHOW = reading("volume:get", "Show a volume.", ("GET", VOLUME))
VOLUMES_CREATE = changing("volume:create", "Create a volume.", ("POST", "/volumes"))
VOLUMES_CREATE_FROM_IMAGE = changing("volume:create_from_image", "Create a volume from an image.", ("POST", "/volumes"))
VOLUMES_UPDATE = changing("volume:update", "Update a volume.", ("PUT", VOLUME))
VOLUMES_DELETE = changing("volume:delete", "Delete a volume.", ("DELETE", VOLUME))
VOLUMES_FORCE_DELETE = administering(
    "volume:force_delete", "Delete a volume whatever its state.", ("DELETE", VOLUME + "?force=true")
)
HOST_ATTRIBUTE = administering("volume_extension:volume_host_attribute", "See a volume's host.")
MIGRATION_ATTRIBUTE = administering("volume_extension:volume_mig_status_attribute", "See a volume's migration.")

EXTEND = action(":extend", "Extend a volume.", "os-extend")
UPLOAD_IMAGE = action(
    "_extension:volume_actions:upload_image", "Make an image of a volume.", "os-volume_upload_image"
)
UPLOAD_PUBLIC = administering(
    "volume_extension:volume_actions:upload_public", "Make a public image of a volume.",
    ("POST", VOLUME + "/action (os-volume_upload_image)"),
)
SET_BOOTABLE = action(
    "_extension:volume_actions:set_bootable", "Say whether a volume can be booted from.", "os-set_bootable"
)
RESERVE = action("_extension:volume_actions:reserve", "Reserve a volume for attaching.", "os-reserve")
UNRESERVE = action("_extension:volume_actions:unreserve", "Give up a reservation.", "os-unreserve")
BEGIN_DETACHING = action("_extension:volume_actions:begin_detaching", "Begin to detach.", "os-begin_detaching")
ROLL_DETACHING = action("_extension:volume_actions:roll_detaching", "Go on attached.", "os-roll_detaching")
ATTACH = action("_extension:volume_actions:attach", "Note where a volume is attached.", "os-attach")
DETACH = action("_extension:volume_actions:detach", "Note that a volume is detached.", "os-detach")
RESET_STATUS = administering(
    "volume_extension:volume_admin_actions:reset_status", "Set a volume's state.",
    ("POST", VOLUME + "/action (os-reset_status)"),
)
FORCE_DELETE = administering(
    "volume_extension:volume_admin_actions:force_delete", "Delete a volume whatever its state.",
    ("POST", VOLUME + "/action (os-force_delete)"),
)
IMAGE_METADATA_SHOW = reading(
    "volume_extension:volume_image_metadata:show", "See what a volume's image says.",
    ("POST", VOLUME + "/action (os-show_image_metadata)"),
)
IMAGE_METADATA_SET = changing(
    "volume_extension:volume_image_metadata:set", "Set what a volume's image says.",
    ("POST", VOLUME + "/action (os-set_image_metadata)"),
)
IMAGE_METADATA_REMOVE = changing(
    "volume_extension:volume_image_metadata:remove", "Remove an item of what a volume's image says.",
    ("POST", VOLUME + "/action (os-unset_image_metadata)"),
)

METADATA = VOLUME + "/metadata"
METADATA_SHOW = reading(
    "volume:get_volume_metadata", "See a volume's metadata.", ("GET", METADATA), ("GET", METADATA + "/{key}")
)
METADATA_CREATE = changing("volume:create_volume_metadata", "Add to a volume's metadata.", ("POST", METADATA))
METADATA_UPDATE = changing(
    "volume:update_volume_metadata", "Change a volume's metadata.", ("PUT", METADATA), ("PUT", METADATA + "/{key}")
)
METADATA_DELETE = changing(
    "volume:delete_volume_metadata", "Delete an item of a volume's metadata.", ("DELETE", METADATA + "/{key}")
)

SNAPSHOTS_LIST = reading("volume:get_all_snapshots", "List snapshots.", ("GET", "/snapshots"),
                         ("GET", "/snapshots/detail"))
SNAPSHOTS_LIST_ALL = administering(
    "volume:get_all_snapshots:all_tenants", "List snapshots of all projects.", ("GET", "/snapshots")
)
SNAPSHOTS_SHOW = reading("volume:get_snapshot", "Show a snapshot.", ("GET", SNAPSHOT))
SNAPSHOTS_CREATE = changing("volume:create_snapshot", "Create a snapshot.", ("POST", "/snapshots"))
SNAPSHOTS_UPDATE = changing("volume:update_snapshot", "Update a snapshot.", ("PUT", SNAPSHOT))
SNAPSHOTS_DELETE = changing("volume:delete_snapshot", "Delete a snapshot.", ("DELETE", SNAPSHOT))
SNAPSHOTS_RESET_STATUS = administering(
    "volume_extension:snapshot_admin_actions:reset_status", "Set a snapshot's state.",
    ("POST", SNAPSHOT + "/action (os-reset_status)"),
)
SNAPSHOTS_FORCE_DELETE = administering(
    "volume_extension:snapshot_admin_actions:force_delete", "Delete a snapshot whatever its state.",
    ("POST", SNAPSHOT + "/action (os-force_delete)"),
)
SNAPSHOT_METADATA = SNAPSHOT + "/metadata"
SNAPSHOT_METADATA_SHOW = reading(
    "volume:get_snapshot_metadata", "See a snapshot's metadata.", ("GET", SNAPSHOT_METADATA),
    ("GET", SNAPSHOT_METADATA + "/{key}"),
)
SNAPSHOT_METADATA_UPDATE = changing(
    "volume:update_snapshot_metadata", "Change a snapshot's metadata.", ("POST", SNAPSHOT_METADATA),
    ("PUT", SNAPSHOT_METADATA), ("PUT", SNAPSHOT_METADATA + "/{key}"),
)
SNAPSHOT_METADATA_DELETE = changing(
    "volume:delete_snapshot_metadata", "Delete an item of a snapshot's metadata.",
    ("DELETE", SNAPSHOT_METADATA + "/{key}"),
)

ATTACHMENTS_READ = reading(
    "volume:attachment_get", "See attachments.", ("GET", "/attachments"), ("GET", "/attachments/detail"),
    ("GET", ATTACHMENT),
)
ATTACHMENTS_LIST_ALL = administering(
    "volume:attachment_get:all_tenants", "List attachments of all projects.", ("GET", "/attachments")
)
ATTACHMENTS_CREATE = changing("volume:attachment_create", "Reserve a volume for a server.", ("POST", "/attachments"))
ATTACHMENTS_UPDATE = changing("volume:attachment_update", "Say who connects.", ("PUT", ATTACHMENT))
ATTACHMENTS_DELETE = changing("volume:attachment_delete", "End an attachment.", ("DELETE", ATTACHMENT))
ATTACHMENTS_COMPLETE = changing(
    "volume:attachment_complete", "Say that a volume is attached.", ("POST", ATTACHMENT + "/action (os-complete)")
)

TYPES_LIST = for_all("volume_extension:type_get_all", "List volume types.", ("GET", "/types"))
TYPES_SHOW = for_all("volume_extension:type_get", "Show a volume type.", ("GET", TYPE), ("GET", "/types/default"))
TYPES_CREATE = administering("volume_extension:type_create", "Create a volume type.", ("POST", "/types"))
TYPES_UPDATE = administering("volume_extension:type_update", "Update a volume type.", ("PUT", TYPE))
TYPES_DELETE = administering("volume_extension:type_delete", "Delete a volume type.", ("DELETE", TYPE))
SPECS_SEEN = administering("volume_extension:access_types_extra_specs", "See a volume type's extra specs with it.")
SPECS = TYPE + "/extra_specs"
SPECS_INDEX = administering("volume_extension:types_extra_specs:index", "List a type's extra specs.", ("GET", SPECS))
SPECS_CREATE = administering("volume_extension:types_extra_specs:create", "Set extra specs.", ("POST", SPECS))
SPECS_SHOW = administering(
    "volume_extension:types_extra_specs:show", "Show one extra spec.", ("GET", SPECS + "/{spec_key}")
)
SPECS_UPDATE = administering(
    "volume_extension:types_extra_specs:update", "Change one extra spec.", ("PUT", SPECS + "/{spec_key}")
)
SPECS_DELETE = administering(
    "volume_extension:types_extra_specs:delete", "Delete one extra spec.", ("DELETE", SPECS + "/{spec_key}")
)

QUOTA = "/os-quota-sets/{project_id}"
QUOTAS_SHOW = Rule(
    "volume_extension:quotas:show", PROJECT_READER_OR_ADMIN, PROJECT, "Show a project's quota.",
    (("GET", QUOTA), ("GET", QUOTA + "/defaults")),
)
QUOTAS_UPDATE = administering("volume_extension:quotas:update", "Change a project's quota.", ("PUT", QUOTA))
QUOTAS_DELETE = administering("volume_extension:quotas:delete", "Give a project the default quota.", ("DELETE", QUOTA))
QUOTA_CLASSES_SHOW = administering(
    "volume_extension:quota_classes:get", "Show a quota class.", ("GET", "/os-quota-class-sets/{class_name}")
)
QUOTA_CLASSES_UPDATE = administering(
    "volume_extension:quota_classes:update", "Change a quota class.", ("PUT", "/os-quota-class-sets/{class_name}")
)
LIMITS = Rule(
    "limits_extension:used_limits", PROJECT_READER_OR_ADMIN, PROJECT, "Show a project's limits and usage.",
    (("GET", "/limits"),),
)

SERVICES_LIST = administering("volume_extension:services:index", "List services.", ("GET", "/os-services"))
SERVICES_UPDATE = administering(
    "volume_extension:services:update", "Enable or disable a service.", ("PUT", "/os-services/enable"),
    ("PUT", "/os-services/disable"), ("PUT", "/os-services/disable-log-reason"),
)
POOLS_LIST = administering(
    "scheduler_extension:scheduler_stats:get_pools", "List storage pools.", ("GET", "/scheduler-stats/get_pools")
)
ZONES_LIST = for_all(
    "volume:availability_zone_list", "List availability zones.", ("GET", "/os-availability-zone")
)
MESSAGES_LIST = reading("message:get_all", "List messages.", ("GET", "/messages"))
MESSAGES_SHOW = reading("message:get", "Show a message.", ("GET", "/messages/{message_id}"))
MESSAGES_DELETE = changing("message:delete", "Delete a message.", ("DELETE", "/messages/{message_id}"))
EXTENSIONS_LIST = for_all("volume:list_extensions", "List extensions.", ("GET", "/extensions"))

RULES = [rule for rule in list(globals().values()) if isinstance(rule, Rule)]
