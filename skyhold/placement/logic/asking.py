# SPDX-License-Identifier: Apache-2.0
"""What a query string asks for: resources, traits, aggregates and trees, in groups by suffix.

The search itself is candidates/; which queries a route takes is in providers.py and
candidates/api.py. The one thing to know first: a name may be refused only because the microversion
doesn't know it yet, so the version is at hand wherever a name or an operator is looked at.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping

import msgspec

from skyhold.core.versions import Version
from skyhold.placement.errors import DUPLICATE_KEY, MISSING_VALUE, bad_query

FORBIDDEN_TRAITS = Version(1, 22)
SEVERAL_MEMBER_OF = Version(1, 24)
NUMBERED_GROUPS = Version(1, 25)
IN_TREE = Version(1, 31)
FORBIDDEN_AGGREGATES = Version(1, 32)
NAMED_GROUPS = Version(1, 33)
ROOT_REQUIRED = Version(1, 35)
SAME_SUBTREE = Version(1, 36)
ANY_TRAITS = Version(1, 39)

GROUPED = re.compile(r"(resources|required|member_of|in_tree)(.*)", re.DOTALL)
NUMBER = re.compile(r"[1-9][0-9]*")
SUFFIX = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One group of a request. `required` and `member_of` are lists of sets: one of each set must hold."""

    suffix: str = ""
    resources: dict[str, int] = {}
    required: list[frozenset[str]] = []
    forbidden: frozenset[str] = frozenset()
    member_of: list[frozenset[str]] = []
    not_member_of: frozenset[str] = frozenset()
    in_tree: str | None = None

    @property
    def traits(self) -> set[str]:
        return set(self.forbidden).union(*self.required)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request for candidates."""

    groups: list[Group]
    isolate: bool = False
    limit: int | None = None
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    same_subtree: list[frozenset[str]] = []
    explain: bool = False

    @property
    def traits(self) -> set[str]:
        return set(self.root_required | self.root_forbidden).union(*(group.traits for group in self.groups))

    @property
    def classes(self) -> set[str]:
        return set().union(*(group.resources for group in self.groups))


def read_filter(pairs: Mapping[str, list[str]], version: Version, allowed: Iterable[str]) -> Group:
    """The one group by which providers are listed."""
    for name in pairs:
        if name not in allowed:
            raise unknown(name)
    return read_group(pairs, "", version)


def read_request(pairs: Mapping[str, list[str]], version: Version) -> Request:
    """All groups of a request for candidates; Invalid says what is wrong with it."""
    suffixes = group_suffixes(pairs, version)
    groups = [read_group(pairs, suffix, version) for suffix in suffixes]
    root_required, root_forbidden = read_root(single(pairs, "root_required"))
    request = Request(
        groups=groups, isolate=read_policy(pairs) == "isolate", limit=read_limit(single(pairs, "limit")),
        root_required=root_required, root_forbidden=root_forbidden, same_subtree=read_subtrees(pairs, suffixes),
        explain=(single(pairs, "explain") or "").lower() == "true",
    )
    refuse_orphans(request, version)
    if read_policy(pairs) is None and sum(bool(group.suffix) for group in groups) > 1:
        raise bad_query(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return request


def group_suffixes(pairs: Mapping[str, list[str]], version: Version) -> list[str]:
    """Suffixes in sorted order; refuses names that this version doesn't know."""
    suffixes = set()
    wide = {"limit": Version(1, 16), "group_policy": NUMBERED_GROUPS, "root_required": ROOT_REQUIRED,
            "same_subtree": SAME_SUBTREE, "explain": Version(1, 10)}
    kinds = {"resources": Version(1, 10), "required": Version(1, 17), "member_of": Version(1, 21), "in_tree": IN_TREE}
    for name in pairs:
        if name in wide and version >= wide[name]:
            continue
        match = GROUPED.fullmatch(name)
        if match is None or version < kinds[match[1]] or not valid_suffix(match[2], version):
            raise unknown(name)
        suffixes.add(match[2])
    return sorted(suffixes)


def valid_suffix(suffix: str, version: Version) -> bool:
    if not suffix:
        return True
    if version >= NAMED_GROUPS:
        return SUFFIX.fullmatch(suffix) is not None
    return version >= NUMBERED_GROUPS and NUMBER.fullmatch(suffix) is not None


def read_group(pairs: Mapping[str, list[str]], suffix: str, version: Version) -> Group:
    resources = single(pairs, "resources" + suffix)
    required, forbidden = read_traits(pairs, "required" + suffix, version)
    member_of, not_member_of = read_aggregates(pairs.get("member_of" + suffix, []), suffix, version)
    tree = single(pairs, "in_tree" + suffix)
    return Group(
        suffix=suffix, resources={} if resources is None else read_resources(resources),
        required=required, forbidden=forbidden, member_of=member_of, not_member_of=not_member_of,
        in_tree=None if tree is None else read_uuid(tree, "in_tree"),
    )


def read_resources(text: str) -> dict[str, int]:
    """`VCPU:2,MEMORY_MB:1024`."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, colon, amount = part.partition(":")
        if not colon or not name or ":" in amount:
            raise bad_query(
                "Badly formed resources parameter. Expected resources query string parameter in form: "
                f"?resources=VCPU:2,MEMORY_MB:1024. Got: {part[:200] or 'empty string'}."
            )
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", amount.strip()):
            raise bad_query(f"Requested resource {name[:200]} expected positive integer amount. Got: {amount[:50]}.")
        if int(amount) < 1:
            raise bad_query(f"Requested resource {name[:200]} requires amount >= 1. Got: {int(amount)}.")
        found[name] = int(amount)
    return found


def read_traits(
    pairs: Mapping[str, list[str]], name: str, version: Version
) -> tuple[list[frozenset[str]], frozenset[str]]:
    """`A,!B`, and since 1.39 `in:A,B`, repeatable."""
    texts = pairs.get(name, [])
    if len(texts) > 1 and version < ANY_TRAITS:
        raise duplicate(name)
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for text in texts:
        some = text.startswith("in:") and version >= ANY_TRAITS
        words = [word.strip() for word in text.removeprefix("in:").split(",")] if some else [
            word.strip() for word in text.split(",")
        ]
        refused = [word for word in words if word.startswith("!")]
        if not all(word.lstrip("!") for word in words) or (refused and (some or version < FORBIDDEN_TRAITS)):
            raise bad_traits(name, text, version)
        forbidden.update(word[1:] for word in refused)
        wanted = [word for word in words if not word.startswith("!")]
        required += [frozenset(wanted)] if some else [frozenset([word]) for word in wanted]
    both = forbidden & {word for one in required if len(one) == 1 for word in one}
    if both:
        raise bad_query(
            "Conflicting required and forbidden traits found in the following traits keys: "
            f"{name}: ({', '.join(sorted(both))})"
        )
    return list(dict.fromkeys(required)), frozenset(forbidden)


def read_root(text: str | None) -> tuple[frozenset[str], frozenset[str]]:
    if text is None:
        return frozenset(), frozenset()
    required, forbidden = read_traits({"root_required": [text]}, "root_required", ROOT_REQUIRED)
    return frozenset().union(*required), forbidden


def read_aggregates(
    texts: list[str], suffix: str, version: Version
) -> tuple[list[frozenset[str]], frozenset[str]]:
    """`<uuid>`, `in:<uuid>,<uuid>`, and since 1.32 both with `!` in front."""
    if len(texts) > 1 and version < SEVERAL_MEMBER_OF:
        raise bad_query(f"Multiple member_of{suffix} parameters are not supported")
    wanted: list[frozenset[str]] = []
    refused: set[str] = set()
    for text in texts:
        forbidden = text.startswith("!")
        if forbidden and version < FORBIDDEN_AGGREGATES:
            raise bad_query(f"Forbidden member_of{suffix} parameters are not supported in the specified microversion")
        some = text[1:] if forbidden else text
        if "," in some and not some.startswith("in:"):
            raise bad_query(
                f"Multiple values for 'member_of{suffix}' must be prefixed with the 'in:' keyword using "
                f"the valid microversion. Got: {text[:200]}"
            )
        ids = frozenset(read_uuid(each, "member_of" + suffix) for each in some.removeprefix("in:").split(","))
        if forbidden:
            refused |= ids
        else:
            wanted.append(ids)
    return wanted, frozenset(refused)


def read_uuid(text: str, name: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise bad_query(
            f"Invalid query string parameters: Expected '{name}' parameter to contain valid UUID(s). Got: {text[:100]}"
        ) from None


def read_limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise bad_query(f"Invalid query string parameters: '{text[:50]}' is no limit; it must be a positive integer.")
    return int(text)


def read_policy(pairs: Mapping[str, list[str]]) -> str | None:
    text = single(pairs, "group_policy")
    if text not in (None, "none", "isolate"):
        raise bad_query(f"Invalid query string parameters: '{text[:50]}' is not one of ['none', 'isolate']")
    return text


def read_subtrees(pairs: Mapping[str, list[str]], suffixes: list[str]) -> list[frozenset[str]]:
    found = []
    for text in pairs.get("same_subtree", []):
        names = frozenset(text.split(","))
        if "" in names:
            raise bad_query(
                f"Empty string (unsuffixed group) can not be specified in `same_subtree`. Got: {text[:200]}"
            )
        unknown_names = sorted(names.difference(suffixes))
        if unknown_names:
            raise bad_query(f"Real suffixes should be specified in `same_subtree`: {', '.join(unknown_names)[:200]}")
        found.append(names)
    return found


def refuse_orphans(request: Request, version: Version) -> None:
    """Every group asks for resources; since 1.36 a group tied by same_subtree needn't."""
    tied = set().union(*request.same_subtree)
    for group in request.groups:
        if group.resources or (version >= SAME_SUBTREE and group.suffix in tied):
            continue
        if group.required or group.forbidden:
            raise bad_query(
                "All traits parameters must be associated with resources. Found the following orphaned "
                f"traits keys: required{group.suffix}"
            )
        if group.member_of or group.not_member_of:
            raise bad_query(
                "All member_of parameters must be associated with resources. Found the following "
                f"orphaned member_of keys: member_of{group.suffix}"
            )
        raise bad_query("All request groups must specify resources.")
    if not any(group.resources for group in request.groups):
        raise bad_query("At least one request group (`resources` or `resources{$S}`) is required.")


def single(pairs: Mapping[str, list[str]], name: str) -> str | None:
    texts = pairs.get(name)
    if not texts:
        return None
    if len(texts) > 1:
        raise duplicate(name)
    if not texts[0].strip():
        raise bad_query(f"Invalid query string parameters: '{name[:100]}' has no value.", MISSING_VALUE)
    return texts[0]


def duplicate(name: str) -> Exception:
    return bad_query(f"Query parameter '{name[:100]}' was given more than once; only one is allowed.", DUPLICATE_KEY)


def unknown(name: str) -> Exception:
    return bad_query(
        f"Invalid query string parameters: Additional properties are not allowed ('{name[:100]}' was unexpected)"
    )


def bad_traits(name: str, text: str, version: Version) -> Exception:
    form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if version >= FORBIDDEN_TRAITS else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
    return bad_query(
        f"Invalid query string parameters: Expected '{name}' parameter value of the form: {form}. Got: {text[:200]}"
    )
