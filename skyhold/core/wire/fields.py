# SPDX-License-Identifier: Apache-2.0
"""What a wire form is made of: Shape, field() and the specs that wrap a Shape into a body.

How annotations are understood is kinds.py; services import all of this from core/shapes.py. The
one thing to know first: a Shape is a frozen msgspec Struct whose fields also know their wire name,
their microversions and their constraints.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, dataclass_transform

import msgspec

from skyhold.core.versions import Version

ABSENT: Final = msgspec.UNSET
"""The value of an optional field that was not in the body; differs from None, which is JSON null."""
Absent = msgspec.UnsetType
"""Its type: `name: str | Absent = field(optional=True)`. It has no form of its own on the wire."""

Extra = Literal["forbid", "ignore", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """What field() was told; `wire` is filled in with the attribute's name when not given."""

    wire: str = ""
    default: Any = msgspec.NODEFAULT
    default_factory: Any = msgspec.NODEFAULT
    since: Version | None = None
    until: Version | None = None
    min: float | None = None
    max: float | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique_items: bool = False
    pattern: str | None = None
    enum: tuple[Any, ...] | None = None
    format: str | None = None
    keys: str | None = None
    policy: str | None = None
    sibling: bool = False
    secret: bool = False
    description: str | None = None

    @property
    def required(self) -> bool:
        return self.default is msgspec.NODEFAULT and self.default_factory is msgspec.NODEFAULT

    def within(self, version: Version) -> bool:
        return (self.since is None or self.since <= version) and (
            self.until is None or version <= self.until
        )


def field(
    wire: str = "",
    *,
    default: Any = msgspec.NODEFAULT,
    default_factory: Any = msgspec.NODEFAULT,
    optional: bool = False,
    since: str | None = None,
    until: str | None = None,
    min: float | None = None,
    max: float | None = None,
    min_items: int | None = None,
    max_items: int | None = None,
    unique_items: bool = False,
    pattern: str | None = None,
    enum: Iterable[Any] | None = None,
    format: str | None = None,
    keys: str | None = None,
    policy: str | None = None,
    sibling: bool = False,
    secret: bool = False,
    description: str | None = None,
) -> Any:
    """One field of a Shape; `wire` is its name in JSON, the attribute's own when left out.

    Without a default it is required when reading; `optional=True` is `default=ABSENT`, and the
    annotation says so with `| Absent`. `since` and `until` are inclusive microversions. `min` and `max`
    bound a string's length or a number's value, and like `pattern`, `enum` and `format` apply to the
    items of a list and the values of an object; `min_items` and `max_items` bound the list or object
    itself, `keys` is a pattern for an object's keys. `policy` guards this one attribute. `sibling`
    reads it beside the envelope's key instead of inside. `secret` keeps its value out of error messages.
    """
    return FieldSpec(
        wire=wire,
        default=ABSENT if optional and default is msgspec.NODEFAULT else default,
        default_factory=default_factory,
        since=Version.parse(since) if since else None,
        until=Version.parse(until) if until else None,
        min=min,
        max=max,
        min_items=min_items,
        max_items=max_items,
        unique_items=unique_items,
        pattern=pattern,
        enum=None if enum is None else tuple(enum),
        format=format,
        keys=keys,
        policy=policy,
        sibling=sibling,
        secret=secret,
        description=description,
    )


class ShapeMeta(msgspec.StructMeta):
    """Takes the FieldSpecs out of a class body, so that msgspec sees only names and defaults."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        extra: Extra | None = None,
        min_fields: int = 0,
        **options: Any,
    ) -> Any:
        specs: dict[str, FieldSpec] = {}
        for base in reversed(bases):
            specs.update(getattr(base, "__shape_fields__", {}))
            extra = extra or getattr(base, "__shape_extra__", None)
            min_fields = min_fields or getattr(base, "__shape_min_fields__", 0)
        hints = namespace.setdefault("__annotations__", {})
        if extra == "keep" and "extra" not in hints and not any(hasattr(base, "extra") for base in bases):
            raise TypeError(f"{name}: a Shape that keeps what nobody declared is an OpenShape")
        for attr in hints:
            if not str(hints[attr]).startswith(("ClassVar", "typing.ClassVar")):
                specs[attr] = _take(attr, namespace)
        if extra == "keep":
            specs.pop("extra", None)
        _refuse_clashes(name, specs)
        shape: Any = super().__new__(
            mcls, name, bases, namespace, **{"frozen": True, "kw_only": True, **options}
        )
        shape.__shape_fields__ = specs
        shape.__shape_extra__ = extra or "forbid"
        shape.__shape_min_fields__ = min_fields
        return shape


def _take(attr: str, namespace: dict[str, Any]) -> FieldSpec:
    """The spec of one attribute; leaves in the namespace what msgspec wants to see there."""
    spec = namespace.get(attr, msgspec.NODEFAULT)
    if not isinstance(spec, FieldSpec):
        return FieldSpec(wire=attr, default=spec)
    if spec.required:
        del namespace[attr]
    elif spec.default_factory is not msgspec.NODEFAULT:
        namespace[attr] = msgspec.field(default_factory=spec.default_factory)
    else:
        namespace[attr] = msgspec.field(default=spec.default)
    return spec if spec.wire else replace(spec, wire=attr)


def _refuse_clashes(name: str, specs: Mapping[str, FieldSpec]) -> None:
    """Two attributes may share a wire name only when no version has both."""
    seen: dict[tuple[str, bool], list[tuple[str, FieldSpec]]] = {}
    for attr, spec in specs.items():
        for other, earlier in seen.setdefault((spec.wire, spec.sibling), []):
            if _overlap(spec, earlier):
                raise TypeError(f"{name}: {other} and {attr} are both {spec.wire!r} in one microversion")
        seen[(spec.wire, spec.sibling)].append((attr, spec))


def _overlap(left: FieldSpec, right: FieldSpec) -> bool:
    return not (
        (left.until is not None and right.since is not None and left.until < right.since)
        or (right.until is not None and left.since is not None and right.until < left.since)
    )


# On the class and not on the metaclass: type checkers find msgspec.Struct's own transform first.
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Shape(msgspec.Struct, metaclass=ShapeMeta, frozen=True, kw_only=True):
    """A wire form, written once for all microversions; subclass it and declare fields.

    `class X(Shape, extra="ignore")` drops unknown keys, an OpenShape keeps them; the default is to
    refuse them. `min_fields=1` refuses the empty object.
    """


class OpenShape(Shape, extra="keep"):
    """Keys that nobody declared are kept in `extra`, and written beside the others."""

    extra: dict[str, Any] = field(default_factory=dict)


def fields_of(shape: Any) -> dict[str, FieldSpec]:
    """Attribute to spec, in the order of declaration."""
    specs: dict[str, FieldSpec] = shape.__shape_fields__
    return specs


def named(value: Shape) -> list[tuple[str, Any]]:
    """The declared fields of a Shape's instance, by their names on the wire."""
    return [(spec.wire, getattr(value, attr)) for attr, spec in fields_of(value).items()]


def extra_of(shape: Any) -> Extra:
    mode: Extra = shape.__shape_extra__
    return mode


def min_fields_of(shape: Any) -> int:
    least: int = shape.__shape_min_fields__
    return least


def guarded_fields(shape: type[Shape]) -> list[tuple[str, str, str]]:
    """(attribute, wire name, policy rule) of every field that has a rule of its own."""
    return [(attr, spec.wire, spec.policy) for attr, spec in fields_of(shape).items() if spec.policy]


def shape_in(spec: Any) -> type[Shape] | None:
    """The Shape of a body, an envelope, a collection or a bulk body; None where there is none."""
    inner = getattr(spec, "inner", spec)
    return inner if isinstance(inner, type) and issubclass(inner, Shape) else None


@dataclass(frozen=True, eq=False, slots=True)
class Envelope:
    key: str
    inner: Any
    outer: Literal["forbid", "ignore"]


@dataclass(frozen=True, eq=False, slots=True)
class CollectionOf:
    key: str
    inner: Any
    links: str | None


@dataclass(frozen=True, eq=False, slots=True)
class Bulk:
    one: str
    many: str
    inner: Any


class Rendered(list[bytes]):
    """Items of a list that are JSON already (core/fragments.py)."""


class Page(NamedTuple):
    """A list to be written by collection(): items, the value under its `links` key (left out when
    None or empty) and whatever else belongs beside the list."""

    items: Collection[Any]
    links: Any = None
    beside: Mapping[str, Any] | None = None


def envelope(key: str, inner: Any, *, outer: Literal["forbid", "ignore"] = "forbid") -> Envelope:
    """The body `{key: inner}`. `inner` is a Shape or an annotation (`None` for `{"os-stop": null}`).

    Fields of the Shape with `sibling=True` stand beside `key`. Reads to the inner value.
    """
    return Envelope(key, inner, outer)


def collection(key: str, inner: Any, *, links: str | None = None) -> CollectionOf:
    """The body `{key: [inner, …]}`, with paging links under `links`. Writes a list or a Page, reads to
    a list."""
    return CollectionOf(key, inner, links)


def bulk(one: str, many: str, inner: Any) -> Bulk:
    """Either `{one: inner}` or `{many: [inner, …]}`. Reads to one value or to a list; a list is
    written under `many`, anything else under `one`."""
    return Bulk(one, many, inner)
