# SPDX-License-Identifier: Apache-2.0
"""The wire forms of flavors, for all microversions.

Routes are api.py, decisions ops.py. Field ranges follow Nova's REST API version history: a
description since 2.55, extra specs inside the flavor since 2.61, swap always a number since 2.75.
"""

from __future__ import annotations

from typing import Annotated, Any

from skyhold.core.shapes import (
    Absent,
    JsonObject,
    LooseBool,
    LooseInt,
    Name,
    Shape,
    Wire,
    collection,
    envelope,
    field,
)

MOST = 2**31 - 1
SPEC_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}$"
FLAVOR_ID = r"^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$"

FactorText = Annotated[float, Wire(
    {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?$", "exclusiveMinimum": 0, "maximum": 3.40282e38,
     "maxLength": 32},
    read=float,
)]
SpecText = Annotated[str, Wire({"type": ["string", "number"], "maxLength": 255}, read=str)]
IdText = Annotated[str, Wire(
    {"type": ["string", "integer", "null"], "pattern": FLAVOR_ID, "minLength": 1, "maxLength": 64, "minimum": 0,
     "maximum": 2**63 - 1},
    read=lambda value: "auto" if value is None else str(value),
)]


class FlavorCreate(Shape):
    name: Name
    id: IdText = "auto"
    ram_mb: LooseInt = field("ram", min=1, max=MOST)
    vcpus: LooseInt = field(min=1, max=MOST)
    disk_gb: LooseInt = field("disk", min=0, max=MOST)
    ephemeral_gb: LooseInt = field("OS-FLV-EXT-DATA:ephemeral", min=0, max=MOST, default=0)
    swap_mb: LooseInt = field("swap", min=0, max=MOST, default=0)
    rxtx_factor: FactorText = 1.0
    is_public: LooseBool = field("os-flavor-access:is_public", default=True)
    description: str | None = field(since="2.55", max=65535, default=None)


class FlavorUpdate(Shape):
    description: str | None = field(max=65535)


class FlavorBrief(Shape):
    id: str
    name: str
    links: list[Any]
    description: str | None = field(since="2.55")


class Flavor(Shape):
    id: str
    name: str
    ram: int
    disk: int
    vcpus: int
    swap: int | str
    ephemeral: int = field("OS-FLV-EXT-DATA:ephemeral")
    disabled: bool = field("OS-FLV-DISABLED:disabled")
    is_public: bool = field("os-flavor-access:is_public")
    rxtx_factor: float
    links: list[Any]
    description: str | None = field(since="2.55")
    extra_specs: JsonObject | Absent = field(since="2.61", optional=True)


class FlavorQuery(Shape, extra="ignore"):
    limit: int | None = field(min=0, default=None)
    marker: str | None = None
    is_public: str | None = None
    min_ram: str | None = field("minRam", default=None)
    min_disk: str | None = field("minDisk", default=None)
    sort_key: str = "flavorid"
    sort_dir: str = "asc"


class ExtraSpecs(Shape):
    extra_specs: dict[str, SpecText] = field(keys=SPEC_KEY)


class Tenant(Shape):
    tenant: str = field(min=1, max=255)


BRIEFS = collection("flavors", FlavorBrief, links="flavors_links")
DETAILS = collection("flavors", Flavor, links="flavors_links")
ONE = envelope("flavor", Flavor)
CREATE = envelope("flavor", FlavorCreate)
UPDATE = envelope("flavor", FlavorUpdate)
