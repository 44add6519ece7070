# SPDX-License-Identifier: Apache-2.0
"""Image's policy as data, under upstream's rule names.

The language is core/policy/language.py; a route names its rule where it is declared. Images shared
with a project by membership are added to what these rules let it see by the store's look-up
(images/store.py), because membership is a row and not an attribute.
"""

from __future__ import annotations

from skyhold.core.policy.defaults import ADMIN, IN_PROJECT, PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN
from skyhold.core.policy.rules import Rule

SCOPE = ("system", "project")

OPEN = "'public':%(visibility)s or 'community':%(visibility)s"
READER_OF = f"{ADMIN} or (role:reader and ({IN_PROJECT} or {OPEN}))"
MEMBER_OF = f"{ADMIN} or (role:member and ({IN_PROJECT} or {OPEN}))"


def rule(name: str, check: str, words: str, *operations: tuple[str, str]) -> Rule:
    return Rule(name, check, SCOPE, words, operations, lists=True)


ADD_IMAGE = rule("add_image", PROJECT_MEMBER_OR_ADMIN, "Create an image.", ("POST", "/v2/images"))
GET_IMAGE = rule("get_image", READER_OF, "Show an image.", ("GET", "/v2/images/{image_id}"))
GET_IMAGES = rule("get_images", READER_OF, "List images.", ("GET", "/v2/images"))
MODIFY_IMAGE = rule(
    "modify_image", PROJECT_MEMBER_OR_ADMIN, "Change an image, its tags and properties.",
    ("PATCH", "/v2/images/{image_id}"), ("PUT", "/v2/images/{image_id}/tags/{tag}"),
)
DELETE_IMAGE = rule("delete_image", PROJECT_MEMBER_OR_ADMIN, "Delete an image.", ("DELETE", "/v2/images/{image_id}"))
PUBLICIZE_IMAGE = rule("publicize_image", ADMIN, "Make an image public.", ("PATCH", "/v2/images/{image_id}"))
COMMUNITIZE_IMAGE = rule(
    "communitize_image", PROJECT_MEMBER_OR_ADMIN, "Give an image to the community.",
    ("PATCH", "/v2/images/{image_id}"),
)
DOWNLOAD_IMAGE = rule("download_image", MEMBER_OF, "Download an image.", ("GET", "/v2/images/{image_id}/file"))
UPLOAD_IMAGE = rule(
    "upload_image", PROJECT_MEMBER_OR_ADMIN, "Upload an image's bytes.", ("PUT", "/v2/images/{image_id}/file")
)
DEACTIVATE = rule(
    "deactivate", PROJECT_MEMBER_OR_ADMIN, "Forbid the download of an image.",
    ("POST", "/v2/images/{image_id}/actions/deactivate"),
)
REACTIVATE = rule(
    "reactivate", PROJECT_MEMBER_OR_ADMIN, "Allow the download of an image again.",
    ("POST", "/v2/images/{image_id}/actions/reactivate"),
)
ADD_MEMBER = rule(
    "add_member", PROJECT_MEMBER_OR_ADMIN, "Share an image.", ("POST", "/v2/images/{image_id}/members")
)
DELETE_MEMBER = rule(
    "delete_member", PROJECT_MEMBER_OR_ADMIN, "Stop sharing an image.",
    ("DELETE", "/v2/images/{image_id}/members/{member_id}"),
)
GET_MEMBER = rule(
    "get_member", PROJECT_READER_OR_ADMIN, "Show with whom an image is shared.",
    ("GET", "/v2/images/{image_id}/members/{member_id}"),
)
GET_MEMBERS = rule(
    "get_members", PROJECT_READER_OR_ADMIN, "List with whom an image is shared.",
    ("GET", "/v2/images/{image_id}/members"),
)
MODIFY_MEMBER = rule(
    "modify_member", PROJECT_MEMBER_OR_ADMIN, "Accept or reject a shared image.",
    ("PUT", "/v2/images/{image_id}/members/{member_id}"),
)
GET_SCHEMAS = rule("get_schemas", "@", "Read the schemas of this API.", ("GET", "/v2/schemas/image"))
GET_STORES = rule("get_stores", "role:reader", "List the stores of images.", ("GET", "/v2/info/stores"))
GET_STORES_DETAIL = rule(
    "stores_info_detail", ADMIN, "List the stores with their properties.", ("GET", "/v2/info/stores/detail")
)
GET_USAGE = rule("get_usage", "role:reader", "Show the project's quota.", ("GET", "/v2/info/usage"))

RULES = [
    ADD_IMAGE, GET_IMAGE, GET_IMAGES, MODIFY_IMAGE, DELETE_IMAGE, PUBLICIZE_IMAGE, COMMUNITIZE_IMAGE,
    DOWNLOAD_IMAGE, UPLOAD_IMAGE, DEACTIVATE, REACTIVATE, ADD_MEMBER, DELETE_MEMBER, GET_MEMBER,
    GET_MEMBERS, MODIFY_MEMBER, GET_SCHEMAS, GET_STORES, GET_STORES_DETAIL, GET_USAGE,
]
