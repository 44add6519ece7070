# SPDX-License-Identifier: Apache-2.0
"""Short words for what stories do over and over: make a network, a subnet, a port.

Everything goes through the API, as the persona; nothing here looks into the database.
"""

from __future__ import annotations

import itertools
from typing import Any

from skyhold.core.context import Context, internal
from tests.kit.cloud import Cloud, Persona

PLURALS = {"security_group": "security-groups", "security_group_rule": "security-group-rules"}
numbers = itertools.count(1)


class Scene:
    def __init__(self, cloud: Cloud, who: Persona) -> None:
        self.cloud, self.who = cloud, who
        self.project_id = who.project_id

    async def call(self, method: str, path: str, body: Any = None, status: Any = None, **kw: Any) -> Any:
        return await self.who.request(method, f"/network/v2.0/{path}", body, status=status, **kw)

    async def make(self, one: str, status: int = 201, **body: Any) -> dict[str, Any]:
        answer = await self.call("POST", PLURALS.get(one, one + "s"), {one: body}, status)
        return answer.json.get(one) or answer.json

    async def get(self, one: str, id: str, status: int = 200) -> dict[str, Any]:
        answer = await self.call("GET", f"{PLURALS.get(one, one + 's')}/{id}", status=status)
        return answer.json.get(one) or answer.json

    async def put(self, one: str, id: str, status: int = 200, **body: Any) -> dict[str, Any]:
        answer = await self.call("PUT", f"{PLURALS.get(one, one + 's')}/{id}", {one: body}, status)
        return answer.json.get(one) or answer.json

    async def delete(self, one: str, id: str, status: int = 204) -> Any:
        return (await self.call("DELETE", f"{PLURALS.get(one, one + 's')}/{id}", status=status)).json

    async def list(self, many: str, query: str = "") -> list[dict[str, Any]]:
        answer = await self.call("GET", many + (f"?{query}" if query else ""), status=200)
        return answer.json[many.replace("-", "_")]

    async def network(self, cidr: str = "10.1.0.0/24", **more: Any) -> tuple[str, str]:
        """(network id, subnet id)"""
        network = await self.make("network", name=f"net-{next(numbers)}", **more)
        subnet = await self.make("subnet", network_id=network["id"], ip_version=4, cidr=cidr)
        return network["id"], subnet["id"]

    async def external(self) -> tuple[str, str]:
        """An external network with a subnet; for administrators."""
        n = next(numbers)
        network = await self.make("network", name=f"public-{n}", **{"router:external": True})
        subnet = await self.make(
            "subnet", network_id=network["id"], ip_version=4, cidr=f"198.18.{n % 256}.0/24", enable_dhcp=False
        )
        return network["id"], subnet["id"]

    async def group(self, name: str = "web") -> str:
        return (await self.make("security_group", name=name))["id"]

    async def rule(self, group_id: str, status: int = 201, **more: Any) -> dict[str, Any]:
        body = {"security_group_id": group_id, "direction": "ingress", **more}
        return await self.make("security_group_rule", status, **body)

    async def context(self) -> Context:
        """As this persona, for functions of the facade."""
        creds = await self.cloud.core.authenticate(self.who.token)
        return Context(self.cloud.core, creds)

    def inside(self) -> Context:
        return internal(self.cloud.core)


def kind(body: dict[str, Any]) -> str:
    """Upstream's name of the error."""
    return body["NeutronError"]["type"]
