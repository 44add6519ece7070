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
GET_DESCENDANTS = rule(
    "get_image_descendants", PROJECT_READER_OR_ADMIN, "List what was made of an image.",
    ("GET", "/v2/images/{image_id}/descendants"),
)
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
COPY_IMAGE = rule(
    "copy_image", ADMIN, "Copy an image's content to more stores.", ("POST", "/v2/images/{image_id}/import")
)
TASKS_API = rule(
    "tasks_api_access", ADMIN, "Make, list, show and forget tasks.", ("GET", "/v2/tasks"), ("POST", "/v2/tasks"),
    ("GET", "/v2/tasks/{task_id}"), ("DELETE", "/v2/tasks/{task_id}"),
)
CACHE_IMAGE = rule("cache_image", ADMIN, "Queue an image for caching.", ("PUT", "/v2/cache/{image_id}"))
CACHE_LIST = rule(
    "cache_list", ADMIN, "List what is cached.", ("GET", "/v2/cache"), ("GET", "/v2/cache/nodes/{image_id}")
)
CACHE_DELETE = rule(
    "cache_delete", ADMIN, "Empty the cache.", ("DELETE", "/v2/cache"), ("DELETE", "/v2/cache/{image_id}")
)
GET_LOCATION = rule(
    "get_image_location", PROJECT_READER_OR_ADMIN, "See where an image's content is, in its record.",
    ("GET", "/v2/images/{image_id}"),
)
SET_LOCATION = rule(
    "set_image_location", PROJECT_MEMBER_OR_ADMIN, "Say where an image's content is, in its record.",
    ("PATCH", "/v2/images/{image_id}"),
)
DELETE_LOCATION = rule(
    "delete_image_location", ADMIN, "Take an image's content out of one store.",
    ("DELETE", "/v2/stores/{store_id}/{image_id}"), ("PATCH", "/v2/images/{image_id}"),
)
ADD_LOCATION = rule(
    "add_image_location", PROJECT_MEMBER_OR_ADMIN, "Give an image content that is elsewhere.",
    ("POST", "/v2/images/{image_id}/locations"),
)
FETCH_LOCATION = rule(
    "fetch_image_location", "role:service", "See where an image's content is, as a service.",
    ("GET", "/v2/images/{image_id}/locations"),
)
GET_USAGE = rule("get_usage", "role:reader", "Show the project's quota.", ("GET", "/v2/info/usage"))


# ---- metadata definitions: whoever sees a namespace sees what is in it, and only administrators change it

METADEF_READER = f"{ADMIN} or (role:reader and ({IN_PROJECT} or 'public':%(visibility)s))"
NAMESPACES = "/v2/metadefs/namespaces"
NAMESPACE = NAMESPACES + "/{namespace_name}"


def reads(name: str, words: str, path: str) -> Rule:
    return rule(name, METADEF_READER, words, ("GET", path))


def defines(name: str, words: str, method: str, path: str) -> Rule:
    return rule(name, ADMIN, words, (method, path))


GET_NAMESPACES = reads("get_metadef_namespaces", "List namespaces of metadata definitions.", NAMESPACES)
GET_NAMESPACE = reads("get_metadef_namespace", "Show a namespace with what it defines.", NAMESPACE)
ADD_NAMESPACE = defines("add_metadef_namespace", "Create a namespace.", "POST", NAMESPACES)
MODIFY_NAMESPACE = defines("modify_metadef_namespace", "Change a namespace.", "PUT", NAMESPACE)
DELETE_NAMESPACE = defines("delete_metadef_namespace", "Delete a namespace.", "DELETE", NAMESPACE)
GET_OBJECTS = reads("get_metadef_objects", "List the objects of a namespace.", NAMESPACE + "/objects")
GET_OBJECT = reads("get_metadef_object", "Show an object.", NAMESPACE + "/objects/{object_name}")
ADD_OBJECT = defines("add_metadef_object", "Define an object.", "POST", NAMESPACE + "/objects")
MODIFY_OBJECT = defines("modify_metadef_object", "Change an object.", "PUT", NAMESPACE + "/objects/{object_name}")
DELETE_OBJECT = defines("delete_metadef_object", "Remove an object.", "DELETE", NAMESPACE + "/objects/{object_name}")
GET_PROPERTIES = reads("get_metadef_properties", "List the properties of a namespace.", NAMESPACE + "/properties")
GET_PROPERTY = reads("get_metadef_property", "Show a property.", NAMESPACE + "/properties/{property_name}")
ADD_PROPERTY = defines("add_metadef_property", "Define a property.", "POST", NAMESPACE + "/properties")
MODIFY_PROPERTY = defines(
    "modify_metadef_property", "Change a property.", "PUT", NAMESPACE + "/properties/{property_name}"
)
REMOVE_PROPERTY = defines(
    "remove_metadef_property", "Remove a property.", "DELETE", NAMESPACE + "/properties/{property_name}"
)
GET_TAGS = reads("get_metadef_tags", "List the tags of a namespace.", NAMESPACE + "/tags")
GET_TAG = reads("get_metadef_tag", "Show a tag.", NAMESPACE + "/tags/{tag_name}")
ADD_TAG = defines("add_metadef_tag", "Define a tag.", "POST", NAMESPACE + "/tags/{tag_name}")
ADD_TAGS = defines("add_metadef_tags", "Define several tags.", "POST", NAMESPACE + "/tags")
MODIFY_TAG = defines("modify_metadef_tag", "Rename a tag.", "PUT", NAMESPACE + "/tags/{tag_name}")
DELETE_TAG = defines("delete_metadef_tag", "Remove a tag.", "DELETE", NAMESPACE + "/tags/{tag_name}")
DELETE_TAGS = defines("delete_metadef_tags", "Remove all tags of a namespace.", "DELETE", NAMESPACE + "/tags")
LIST_RESOURCE_TYPES = rule(
    "list_metadef_resource_types", "role:reader", "List what definitions can be associated with.",
    ("GET", "/v2/metadefs/resource_types"),
)
GET_RESOURCE_TYPE = reads(
    "get_metadef_resource_type", "List what a namespace is associated with.", NAMESPACE + "/resource_types"
)
ADD_ASSOCIATION = defines(
    "add_metadef_resource_type_association", "Associate a namespace with a type of resource.",
    "POST", NAMESPACE + "/resource_types",
)
REMOVE_ASSOCIATION = defines(
    "remove_metadef_resource_type_association", "End such an association.",
    "DELETE", NAMESPACE + "/resource_types/{resource_type}",
)
METADEFS = [
    GET_NAMESPACES, GET_NAMESPACE, ADD_NAMESPACE, MODIFY_NAMESPACE, DELETE_NAMESPACE, GET_OBJECTS, GET_OBJECT,
    ADD_OBJECT, MODIFY_OBJECT, DELETE_OBJECT, GET_PROPERTIES, GET_PROPERTY, ADD_PROPERTY, MODIFY_PROPERTY,
    REMOVE_PROPERTY, GET_TAGS, GET_TAG, ADD_TAG, ADD_TAGS, MODIFY_TAG, DELETE_TAG, DELETE_TAGS,
    LIST_RESOURCE_TYPES, GET_RESOURCE_TYPE, ADD_ASSOCIATION, REMOVE_ASSOCIATION,
]

RULES = [
    *METADEFS,
    ADD_IMAGE, GET_IMAGE, GET_DESCENDANTS, GET_IMAGES, MODIFY_IMAGE, DELETE_IMAGE, PUBLICIZE_IMAGE, COMMUNITIZE_IMAGE,
    DOWNLOAD_IMAGE, UPLOAD_IMAGE, DEACTIVATE, REACTIVATE, ADD_MEMBER, DELETE_MEMBER, GET_MEMBER,
    GET_MEMBERS, MODIFY_MEMBER, GET_SCHEMAS, GET_STORES, GET_STORES_DETAIL, GET_USAGE,
    COPY_IMAGE, TASKS_API, CACHE_IMAGE, CACHE_LIST, CACHE_DELETE, GET_LOCATION, SET_LOCATION, DELETE_LOCATION,
    ADD_LOCATION, FETCH_LOCATION,
]
