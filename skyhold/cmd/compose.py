# SPDX-License-Identifier: Apache-2.0
"""The program put together: which services there are, and who authenticates.

Each service's own index is its service.py; what core does with them is core/app.py.
"""

from __future__ import annotations

from collections.abc import Callable

from skyhold.core import context
from skyhold.core.app import Core
from skyhold.core.service import Service
from skyhold.core.settings.whole import Settings


def services() -> list[Service]:
    """Every service, in the order of the street: those further down first. Last is the operator's, which
    asks all of them."""
    from skyhold.compute.service import SERVICE as COMPUTE
    from skyhold.core.operator.service import SERVICE as OPERATOR
    from skyhold.events.service import SERVICE as EVENTS
    from skyhold.identity.service import SERVICE as IDENTITY
    from skyhold.image.service import SERVICE as IMAGE
    from skyhold.network.service import SERVICE as NETWORK
    from skyhold.object.service import SERVICE as OBJECT
    from skyhold.placement.service import SERVICE as PLACEMENT
    from skyhold.volume.service import SERVICE as VOLUME

    return [IDENTITY, EVENTS, OBJECT, PLACEMENT, NETWORK, IMAGE, VOLUME, COMPUTE, OPERATOR]


def control_plane(settings: Settings, clock: Callable[[], int] = context.system_clock, number: int = 1) -> Core:
    """One control process, not yet started."""
    from skyhold.identity import facade
    from skyhold.image.service import sites

    core = Core(settings, [*services(), *sites(settings)], clock, number)
    core.authenticator = facade.authenticator(core)
    core.limits = facade.limits(core)
    return core
