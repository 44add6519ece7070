# SPDX-License-Identifier: Apache-2.0
"""What a domain may configure for itself: the options, their kinds and defaults, and how they are merged.

Keeping them is domain_config.py, what the ldap group does directories/. Names, defaults and what is secret
are those of Keystone's domain-specific configuration; nothing outside this list can be set or read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Config = dict[str, dict[str, Any]]
"""{group: {option: value}}"""

TRUE = frozenset({"true", "1", "t", "yes", "y", "on"})
FALSE = frozenset({"false", "0", "f", "no", "n", "off"})


class Option(NamedTuple):
    kind: str
    """text, number, flag or words (a list of texts, or one text with commas)."""
    default: Any = None
    secret: bool = False


OPTIONS: dict[str, dict[str, Option]] = {
    "identity": {"driver": Option("text", "sql"), "list_limit": Option("number")},
    "ldap": {
        "url": Option("text", "ldap://localhost"),
        "user": Option("text"),
        "password": Option("text", secret=True),
        "suffix": Option("text", "cn=example,cn=com"),
        "query_scope": Option("text", "one"),
        "page_size": Option("number", 0),
        "alias_dereferencing": Option("text", "default"),
        "debug_level": Option("number"),
        "chase_referrals": Option("flag"),
        "user_tree_dn": Option("text"),
        "user_filter": Option("text"),
        "user_objectclass": Option("text", "inetOrgPerson"),
        "user_id_attribute": Option("text", "cn"),
        "user_name_attribute": Option("text", "sn"),
        "user_mail_attribute": Option("text", "mail"),
        "user_description_attribute": Option("text", "description"),
        "user_pass_attribute": Option("text", "userPassword"),
        "user_enabled_attribute": Option("text", "enabled"),
        "user_enabled_invert": Option("flag", False),
        "user_enabled_mask": Option("number", 0),
        "user_enabled_default": Option("text", "True"),
        "user_attribute_ignore": Option("words", ["default_project_id"]),
        "user_default_project_id_attribute": Option("text"),
        "user_enabled_emulation": Option("flag", False),
        "user_enabled_emulation_dn": Option("text"),
        "user_enabled_emulation_use_group_config": Option("flag", False),
        "user_additional_attribute_mapping": Option("words", []),
        "group_tree_dn": Option("text"),
        "group_filter": Option("text"),
        "group_objectclass": Option("text", "groupOfNames"),
        "group_id_attribute": Option("text", "cn"),
        "group_name_attribute": Option("text", "ou"),
        "group_member_attribute": Option("text", "member"),
        "group_members_are_ids": Option("flag", False),
        "group_desc_attribute": Option("text", "description"),
        "group_attribute_ignore": Option("words", []),
        "group_additional_attribute_mapping": Option("words", []),
        "tls_cacertfile": Option("text"),
        "tls_cacertdir": Option("text"),
        "use_tls": Option("flag", False),
        "tls_req_cert": Option("text", "demand"),
        "use_pool": Option("flag", True),
        "pool_size": Option("number", 10),
        "pool_retry_max": Option("number", 3),
        "pool_retry_delay": Option("number", 0.1),
        "pool_connection_timeout": Option("number", -1),
        "pool_connection_lifetime": Option("number", 600),
        "use_auth_pool": Option("flag", True),
        "auth_pool_size": Option("number", 100),
        "auth_pool_connection_lifetime": Option("number", 60),
    },
}


def supported(group: str, option: str | None = None) -> bool:
    return group in OPTIONS and (option is None or option in OPTIONS[group])


def is_secret(group: str, option: str) -> bool:
    return OPTIONS[group][option].secret


def understood(option: Option, value: Any) -> Any:
    """The value as the program uses it; ValueError for one that its kind can't be."""
    if value is None:
        return option.default
    if option.kind == "flag":
        return value if isinstance(value, bool) else truth(str(value))
    if option.kind == "number":
        return number(value)
    if option.kind == "words":
        return words(value)
    if isinstance(value, dict | list):
        raise ValueError("is a text")
    return str(value)


def truth(text: str) -> bool:
    if text.strip().lower() in TRUE:
        return True
    if text.strip().lower() in FALSE:
        return False
    raise ValueError("is true or false")


def number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is a number")
    try:
        return int(value) if isinstance(value, str) and "." not in value else float(value) if isinstance(
            value, str
        ) else value
    except ValueError:
        raise ValueError("is a number") from None


def words(value: Any) -> list[str]:
    if isinstance(value, str):
        return [each.strip() for each in value.split(",") if each.strip()]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise ValueError("is a list of texts")


def split(config: Mapping[str, Mapping[str, Any]]) -> tuple[Config, Config]:
    """(what anybody who may read it sees, what only the program sees)"""
    plain: Config = {}
    hidden: Config = {}
    for group, options in config.items():
        for name, value in options.items():
            (hidden if is_secret(group, name) else plain).setdefault(group, {})[name] = value
    return plain, hidden


def merged(now: Mapping[str, Mapping[str, Any]], change: Mapping[str, Mapping[str, Any]]) -> Config:
    found = {group: dict(options) for group, options in now.items()}
    for group, options in change.items():
        found.setdefault(group, {}).update(options)
    return found


def without(now: Mapping[str, Mapping[str, Any]], group: str, option: str | None) -> Config:
    """Less one option, or a whole group; a group of which nothing is left goes too."""
    found = {name: dict(options) for name, options in now.items()}
    if option is None:
        found.pop(group, None)
    elif group in found:
        found[group].pop(option, None)
        if not found[group]:
            del found[group]
    return found


def defaults() -> Config:
    """Of everything that may be read."""
    return {
        group: {name: option.default for name, option in options.items() if not option.secret}
        for group, options in OPTIONS.items()
    }
