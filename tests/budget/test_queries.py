# SPDX-License-Identifier: Apache-2.0
"""How many queries an answer costs: as many for thirty as for one, on every route that lists.

The routes come from the services' manifests, so a new list is measured as soon as it exists; it
then needs a seed below that makes it grow, or a word in STILL why nothing can.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from skyhold.cmd.compose import services
from skyhold.compute import hosts
from skyhold.core import context
from skyhold.volume import facade as volumes
from skyhold.volume import types
from skyhold.volume.volumes.store import VOLUMES_STORE
from tests.kit.cloud import Cloud, start_cloud
from tests.kit.compute_rows import OFFERED, add_server
from tests.kit.patience import until
from tests.kit.saga_rows import forget_sagas, waiting_saga
from tests.kit.volume_rows import add_volume
from tests.story.identity import test_oauth1 as oauth1

FEW, MANY = 1, 30
WEBHOOKS = 20
"""A project may have no more of them, and no API lifts that."""
MOST = {"/events/v1/webhooks": WEBHOOKS}
VERSIONS = {"compute": "compute latest", "placement": "placement 1.39", "volume": "volume latest"}
REMOVED_LATER = {"/compute/v2.1/os-hypervisors/statistics": "compute 2.87"}
QUERY = {
    "/placement/usages": "?project_id={project}",
    "/placement/allocation_candidates": "?resources=VCPU:1,MEMORY_MB:64",
    "/image/v2/images": "?limit=1000", "/image/v2/tasks": "?limit=1000", "/image/v2/metadefs/namespaces": "?limit=1000",
    "/image/v2/metadefs/namespaces/{namespace}/objects": "?limit=1000",
    "/image/v2/metadefs/namespaces/{namespace}/tags": "?limit=1000",
    "/events/v1/events": "?limit=1000",
    "/object-store/v1/AUTH_{own_project}": "?format=json",
    "/object-store/v1/AUTH_{own_project}/{container}": "?format=json",
    "/compute/v2.1/flavors": "?is_public=none", "/compute/v2.1/flavors/detail": "?is_public=none",
}
STILL = {
    "/identity/v3/auth/system": "the one system",
    "/identity/v3/auth/tokens": "one token",
    "/identity/v3/limits/model": "the one model", "/identity/v3/domains/config/default": "a fixed document",
    "/placement/usages": "sums by resource class",
    "/object-store/info": "a fixed document",
    "/network/v2.0/availability_zones": "zones are hosts' labels: one",
    "/network/v2.0/extensions": "a fixed list",
    "/network/v2.0/service-providers": "routers have one provider",
    "/image/v2/info/import": "a fixed document", "/image/v2/info/stores": "the stores of a file",
    "/image/v2/info/stores/detail": "the stores of a file", "/image/v2/info/usage": "sums",
    "/volume/v3/limits": "sums", "/volume/v3/volumes/summary": "sums", "/volume/v3/extensions": "a fixed list",
    "/volume/v3/os-availability-zone": "one zone", "/volume/v3/types/default": "the one default",
    "/compute/v2.1/limits": "sums", "/compute/v2.1/os-availability-zone": "one zone",
    "/compute/v2.1/os-availability-zone/detail": "one zone", "/compute/v2.1/os-hypervisors/statistics": "sums",
}
"""Routes that are measured too, but whose answers don't grow with what is there."""
WHOLE = {"/admin/v1/audit"}
"""Compares everything with everything, for an operator: a fixed number of queries, but more than a dozen."""
CONVERSATIONS = ("/oidc/", "/v3/auth/OS-FEDERATION/", "/v3/OS-FEDERATION/saml2/")
"""What browsers and programs say while somebody signs in: documents and answers, no lists."""
DOCUMENTS = ("/", "/v1", "/v3", "/v2.0", "/v2.1", "/versions", "/healthcheck")
GONE = ("/v3/auth/tokens/OS-PKI/revoked", "/v3/OS-SIMPLE-CERT/ca", "/v3/OS-SIMPLE-CERT/certificates")
"""Addresses that only say that there is no such thing any more."""
OF_PARENTS = [
    "/identity/v3/OS-FEDERATION/identity_providers/{idp}/protocols",
    "/identity/v3/groups/{group}/users", "/identity/v3/users/{member}/groups", "/identity/v3/users/{admin}/projects",
    "/identity/v3/policies/{policy}/OS-ENDPOINT-POLICY/endpoints",
    "/identity/v3/OS-EP-FILTER/projects/{project}/endpoints", "/identity/v3/OS-EP-FILTER/endpoints/{endpoint}/projects",
    "/identity/v3/OS-EP-FILTER/projects/{project}/endpoint_groups",
    "/identity/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group}/endpoints",
    "/identity/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group}/projects",
    "/identity/v3/users/{admin}/application_credentials", "/identity/v3/projects/{project}/tags",
    "/identity/v3/users/{admin}/credentials/OS-EC2", "/identity/v3/users/{admin}/OS-OAUTH1/access_tokens",
    *(f"/image/v2/metadefs/namespaces/{{namespace}}{part}" for part in
      ("", "/properties", "/objects", "/tags", "/resource_types")),
    "/object-store/v1/AUTH_{own_project}", "/object-store/v1/AUTH_{own_project}/{container}",
    "/volume/v3/volumes/{volume}/metadata", "/volume/v3/snapshots/{snapshot}/metadata",
    "/volume/v3/types/{volume_type}/extra_specs",
    "/image/v2/images/{image}/members", "/compute/v2.1/servers/{server}/os-interface",
    "/compute/v2.1/servers/{server}/os-volume_attachments",
    "/compute/v2.1/servers/{server}/tags", "/compute/v2.1/servers/{server}/metadata",
    "/compute/v2.1/servers/{server}/ips", "/compute/v2.1/flavors/{flavor}/os-extra_specs",
    "/compute/v2.1/flavors/{flavor}/os-flavor-access", "/placement/resource_providers/{provider}/traits",
    "/placement/resource_providers/{provider}/inventories", "/network/v2.0/networks/{network}/tags",
]
"""Lists inside a resource: the seeds put their rows into the first one made."""


def attach_volume(tx: Any, ctx: Any, project_id: str, server_id: str) -> None:
    """One more for the server, as if it had been made and attached."""
    volume = VOLUMES_STORE.insert(
        tx, id=ctx.new_id(), project_id=project_id, user_id="u", size_gib=1, state="available",
        type_id=types.chosen(tx, None).id, availability_zone="nova", bootable=False, metadata={},
    )
    volumes.reserve(tx, ctx, volume.id, server_id, mountpoint="/dev/vdb")


def top_lists() -> list[str]:
    return sorted({
        service.prefix + route.path
        for service in services() for routes in service.routes for route in routes.all
        if route.method == "GET" and "{" not in route.path and route.path not in (*DOCUMENTS, *GONE)
        and not route.path.startswith(("/v2/schemas", *CONVERSATIONS))
    })


@dataclass
class Measured:
    queries: int
    rows: int


@dataclass
class Seeds:
    """One round makes one of everything; `ids` names the first of each."""

    cloud: Cloud
    ids: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: Any, status: int = 201) -> Any:
        return (await self.cloud.admin.post(path, body, status=status, headers=self.version(path))).json

    async def put(self, path: str, body: Any = None, status: int | tuple[int, ...] = (200, 201, 204)) -> Any:
        return await self.cloud.admin.put(path, body, status=status, headers=self.version(path))

    def version(self, path: str) -> dict[str, str]:
        wanted = REMOVED_LATER.get(path) or VERSIONS.get(path.split("/")[1])
        return {"OpenStack-API-Version": wanted} if wanted else {}

    async def prepare(self) -> None:
        admin = self.cloud.admin.project_id
        lifted = dict.fromkeys(
            ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule"), -1
        )
        await self.put(f"/network/v2.0/quotas/{admin}", {"quota": lifted})
        limits = dict.fromkeys(("instances", "cores", "ram", "server_groups", "key_pairs"), -1)
        await self.put(f"/compute/v2.1/os-quota-sets/{admin}", {"quota_set": limits})
        room = dict.fromkeys(("volumes", "snapshots", "gigabytes"), -1)
        await self.put(f"/volume/v3/os-quota-sets/{admin}", {"quota_set": room})
        public = await self.post("/network/v2.0/networks", {"network": {"name": "public", "router:external": True}})
        self.ids["public"] = public["network"]["id"]
        subnet = {"network_id": self.ids["public"], "ip_version": 4, "cidr": "172.24.0.0/16"}
        await self.post("/network/v2.0/subnets", {"subnet": subnet})
        self.ids["admin"], self.ids["own_project"] = self.cloud.admin.user_id, admin

    async def round(self, number: int) -> None:
        name = uuid.uuid4().hex[:10]
        await self.identity(name)
        await self.network(name, number)
        await self.image(name)
        await self.volume(name)
        await self.compute(name, number)
        await self.placement(name)
        await self.events(name, number)
        await self.objects(name)

    async def identity(self, name: str) -> None:
        person = await self.cloud.project()
        first = self.ids.setdefault
        project, member = first("project", person.project_id), first("member", person.user_id)
        self.ids["newest_project"] = person.project_id
        await self.cloud.grant("reader", self.ids["admin"], project_id=person.project_id)
        await self.cloud.grant("reader", self.ids["admin"], domain_id=person.domain_id)
        group = await self.post("/identity/v3/groups", {"group": {"name": name, "domain_id": "default"}})
        group_id = group["group"]["id"]
        await self.put(f"/identity/v3/groups/{group_id}/users/{member}")
        await self.put(f"/identity/v3/groups/{first('group', group_id)}/users/{person.user_id}")
        await self.put(f"/identity/v3/projects/{project}/tags/{name}")
        role = await self.role(name)
        await self.put(f"/identity/v3/roles/{role}/implies/{await self.role(name + '-implied')}")
        await self.post("/identity/v3/regions", {"region": {"id": name}})
        service = await self.post("/identity/v3/services", {"service": {"name": name, "type": name}})
        endpoint = {"service_id": service["service"]["id"], "interface": "public", "url": "http://one.test"}
        made = await self.post("/identity/v3/endpoints", {"endpoint": {**endpoint, "interface": "internal"}})
        await self.filtered(name, made["endpoint"], person.project_id)
        await self.limits(service["service"]["id"], person.project_id)
        path = f"/identity/v3/users/{self.ids['admin']}/application_credentials"
        await self.post(path, {"application_credential": {"name": name}})
        key = {"tenant_id": self.cloud.admin.project_id}
        await self.post(f"/identity/v3/users/{self.ids['admin']}/credentials/OS-EC2", key)
        await self.federation(name)
        trust = {
            "trustor_user_id": self.ids["admin"], "trustee_user_id": person.user_id, "impersonation": True,
            "project_id": self.cloud.admin.project_id, "roles": [{"name": "reader"}],
        }
        await self.post("/identity/v3/OS-TRUST/trusts", {"trust": trust})
        await oauth1.danced(self.cloud, self.cloud.admin)
        token = await self.cloud.token(person)
        await person.delete("/identity/v3/auth/tokens", headers={"X-Subject-Token": token}, status=204)

    async def filtered(self, name: str, endpoint: dict[str, Any], project_id: str) -> None:
        first, path = self.ids.setdefault, "/identity/v3/OS-EP-FILTER"
        own = (await self.post("/identity/v3/policies", {"policy": {"blob": name, "type": name}}))["policy"]["id"]
        used = f"/identity/v3/policies/{first('policy', own)}/OS-ENDPOINT-POLICY/endpoints"
        await self.put(f"{used}/{endpoint['id']}")
        body = {"endpoint_group": {"name": name, "filters": {"interface": "internal"}}}
        group = (await self.post(f"{path}/endpoint_groups", body))["endpoint_group"]["id"]
        one, all_of = first("endpoint", endpoint["id"]), first("endpoint_group", group)
        projects = {project_id, first("project", project_id)}
        for each in projects:
            await self.put(f"{path}/projects/{each}/endpoints/{endpoint['id']}")
            await self.put(f"{path}/endpoint_groups/{group}/projects/{each}")
        if one != endpoint["id"]:
            await self.put(f"{path}/projects/{project_id}/endpoints/{one}")
            await self.put(f"{path}/endpoint_groups/{all_of}/projects/{project_id}")

    async def limits(self, service_id: str, project_id: str) -> None:
        what = {"service_id": service_id, "resource_name": "things"}
        await self.post("/identity/v3/registered_limits", {"registered_limits": [{**what, "default_limit": 5}]})
        one = {**what, "resource_limit": 3, "project_id": project_id}
        await self.post("/identity/v3/limits", {"limits": [one]})

    async def federation(self, name: str) -> None:
        at = "/identity/v3/OS-FEDERATION"
        rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
        await self.put(f"{at}/mappings/{name}", {"mapping": {"rules": rules}})
        await self.put(f"{at}/identity_providers/{name}", {"identity_provider": {"remote_ids": [name]}})
        protocol = {"protocol": {"mapping_id": name}}
        await self.put(f"{at}/identity_providers/{self.ids.setdefault('idp', name)}/protocols/{name}", protocol)
        sp = {"auth_url": "https://sp.test/auth", "sp_url": "https://sp.test/sp"}
        await self.put(f"{at}/service_providers/{name}", {"service_provider": sp})
        client = {"client": {"name": name, "redirect_uris": ["https://app.test/back"]}}
        await self.post("/identity/v3/OS-OIDC/clients", client)

    async def role(self, name: str) -> str:
        return str((await self.post("/identity/v3/roles", {"role": {"name": name}}))["role"]["id"])

    async def network(self, name: str, number: int) -> None:
        made = (await self.post("/network/v2.0/networks", {"network": {"name": name}}))["network"]["id"]
        self.ids["newest_network"] = made
        await self.put(f"/network/v2.0/networks/{self.ids.setdefault('network', made)}/tags/{name}")
        subnet = {"network_id": made, "ip_version": 4, "cidr": f"10.{number}.0.0/24"}
        await self.post("/network/v2.0/subnets", {"subnet": subnet})
        gateway = {"network_id": self.ids["public"]}
        await self.post("/network/v2.0/routers", {"router": {"name": name, "external_gateway_info": gateway}})
        floating = {"floating_network_id": self.ids["public"]}
        await self.post("/network/v2.0/floatingips", {"floatingip": floating})
        group = await self.post("/network/v2.0/security-groups", {"security_group": {"name": name}})
        rule = {"security_group_id": group["security_group"]["id"], "direction": "ingress", "protocol": "tcp"}
        await self.post("/network/v2.0/security-group-rules", {"security_group_rule": rule})
        await self.put(f"/network/v2.0/quotas/{self.ids['newest_project']}", {"quota": {"network": 7}})

    async def imported(self, wish: dict[str, Any]) -> None:
        """An image with a task, and waiting for the cache."""
        path = "/image/v2/images/" + (await self.post("/image/v2/images", wish))["id"]
        octets = "application/octet-stream"
        await self.cloud.admin.put(path + "/stage", b"disk", content_type=octets, status=204)
        await self.cloud.admin.post(path + "/import", {"method": {"name": "glance-direct"}}, status=202)

        async def active() -> bool:
            return bool((await self.cloud.admin.get(path, status=200)).json["status"] == "active")

        await until(active, "the import to end")
        await self.put("/image/v2/cache/" + path.rpartition("/")[2], status=202)

    async def image(self, name: str) -> None:
        wish = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "shared", "tags": [name]}
        made = (await self.post("/image/v2/images", wish))["id"]
        path = f"/image/v2/images/{self.ids.setdefault('image', made)}/members"
        await self.post(path, {"member": self.ids["newest_project"]}, 200)
        await self.imported(wish)
        definition = {"title": name, "type": "string"}
        inside = {
            "properties": {name: definition}, "objects": [{"name": name}], "tags": [{"name": name}],
            "resource_type_associations": [{"name": name}],
        }
        first = self.ids.setdefault("namespace", name)
        await self.post("/image/v2/metadefs/namespaces", {"namespace": name, **inside})
        within = f"/image/v2/metadefs/namespaces/{first}"
        if first != name:
            await self.post(within + "/properties", {"name": name, **definition})
            await self.post(within + "/objects", {"name": name})
            await self.post(f"{within}/tags/{name}", None)
            await self.post(within + "/resource_types", {"name": name})

    async def volume(self, name: str) -> None:
        """A volume with an attachment and a snapshot, in a pool of its own; bytes are nowhere."""
        kind = (await self.post("/volume/v3/types", {"volume_type": {"name": name}}, 200))["volume_type"]["id"]
        specs = f"/volume/v3/types/{self.ids.setdefault('volume_type', kind)}/extra_specs"
        await self.post(specs, {"extra_specs": {name: "1"}}, 200)
        made = await context.internal(self.cloud.core).write(add_volume, self.cloud.admin, name, kind)
        for what, id in (("volume", made.volume_id), ("snapshot", made.id)):
            await self.put(f"/volume/v3/{what}s/{self.ids.setdefault(what, id)}/metadata/{name}", {"meta": {name: "1"}})

    async def compute(self, name: str, number: int) -> None:
        flavor = {"name": name, "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
        made = (await self.post("/compute/v2.1/flavors", {"flavor": flavor}, 200))["flavor"]["id"]
        first = f"/compute/v2.1/flavors/{self.ids.setdefault('flavor', made)}"
        await self.post(first + "/os-extra_specs", {"extra_specs": {f"mark:{name}": "1"}}, 200)
        await self.post(first + "/action", {"addTenantAccess": {"tenant": self.ids["newest_project"]}}, 200)
        await self.post("/compute/v2.1/os-keypairs", {"keypair": {"name": name, "public_key": KEY}})
        await self.post("/compute/v2.1/os-server-groups", {"server_group": {"name": name, "policy": "affinity"}}, 200)
        await self.post("/compute/v2.1/os-aggregates", {"aggregate": {"name": name}}, 200)
        await self.server(name)

    async def server(self, name: str) -> None:
        """On a host of its own, with a port on a network of its own, a tag and an item of metadata."""
        host_id = str(uuid.uuid4())

        def arrive(tx: Any, ctx: Any) -> None:
            hosts.connect(tx, ctx, host_id, name)
            hosts.take_inventory(tx, ctx, host_id, OFFERED)

        await context.internal(self.cloud.core).write(arrive)
        server = await add_server(self.cloud, self.cloud.admin, host_id=host_id, name=name)
        first = self.ids.setdefault("server", server.id)
        for server_id in {server.id, first}:
            port = {"network_id": self.ids["newest_network"], "device_id": server_id, "device_owner": "compute:nova"}
            await self.post("/network/v2.0/ports", {"port": port})
            path = f"/compute/v2.1/servers/{server_id}"
            await self.put(f"{path}/tags/{name}")
            await self.put(f"{path}/metadata/{name}", {"meta": {name: "1"}})
            await context.internal(self.cloud.core).write(attach_volume, self.cloud.admin.project_id, server_id)

    async def placement(self, name: str) -> None:
        made = await self.post("/placement/resource_providers", {"name": "own-" + name}, 200)
        provider = self.ids.setdefault("provider", made["uuid"])
        trait, kind = f"CUSTOM_T{name.upper()}", f"CUSTOM_C{name.upper()}"
        await self.put(f"/placement/traits/{trait}")
        await self.put(f"/placement/resource_classes/{kind}")
        path = f"/placement/resource_providers/{provider}"
        traits = (await self.read(path + "/traits"))["traits"]
        generation = (await self.read(path))["generation"]
        await self.put(path + "/traits", {"resource_provider_generation": generation, "traits": [*traits, trait]})
        held = (await self.read(path + "/inventories"))["inventories"]
        inventories = {"resource_provider_generation": generation + 1, "inventories": {**held, kind: {"total": 1}}}
        await self.put(path + "/inventories", inventories)

    async def events(self, name: str, number: int) -> None:
        """The events themselves are whatever the other seeds have done; a disabled webhook calls nobody."""
        if number >= WEBHOOKS:
            return
        wish = {"name": name, "url": "https://1.1.1.1/", "secret": "0123456789abcdef", "enabled": False}
        await self.post("/events/v1/webhooks", {"webhook": wish})

    async def objects(self, name: str) -> None:
        account = f"/object-store/v1/AUTH_{self.ids['own_project']}"
        await self.put(f"{account}/{name}")
        await self.put(f"{account}/{self.ids.setdefault('container', name)}/{name}")

    async def read(self, path: str) -> Any:
        return (await self.cloud.admin.get(path, status=200, headers=self.version(path))).json


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Vd6dJ0V3xkqkUo3hBqYQ3u8V2m1sTn0qXbU4nq5oY one@test"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def figures(
    counted: Counter[str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, tuple[Measured, Measured]]]:
    """Every list, asked when there is one of everything and when there are thirty."""
    home: Path = tmp_path_factory.mktemp("budget")
    cloud = await start_cloud(home)
    seeds = Seeds(cloud)
    await seeds.prepare()
    for number in range(FEW):
        await seeds.round(number)
    few = await measured(seeds, FEW, counted)
    for number in range(FEW, MANY):
        await seeds.round(number)
    many = await measured(seeds, MANY, counted)
    yield {path: (few[path], many[path]) for path in few}
    await cloud.core.stop()


async def measured(seeds: Seeds, sagas: int, counted: Counter[str]) -> dict[str, Measured]:
    """With so many sagas that wait; while they do, no seed could wait for another's to end."""
    waiting = [await waiting_saga(seeds.cloud.core) for _ in range(sagas)]
    found = {path: await ask(seeds, path, counted) for path in [*top_lists(), *OF_PARENTS]}
    await forget_sagas(seeds.cloud.core, waiting)
    return found


async def ask(seeds: Seeds, path: str, counted: Counter[str]) -> Measured:
    target = (path + QUERY.get(path, "")).format(**seeds.ids)
    headers = seeds.version(path)
    if path == "/identity/v3/auth/tokens":
        headers["X-Subject-Token"] = str(seeds.cloud.admin.token)
    # Twice, for the first fills caches: the token's, the catalogue's.
    for _ in range(2):
        answer = await seeds.cloud.admin.get(target, headers=headers, status=(200, 300))
    return Measured(counted[answer.headers["x-openstack-request-id"]], rows_in(answer.json))


def rows_in(body: Any) -> int:
    values = [value for key, value in body.items() if key != "links"] if isinstance(body, dict) else [body]
    sizes = [len(value) for value in values if isinstance(value, list | dict)]
    return max(sizes, default=0)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", [*top_lists(), *OF_PARENTS])
async def test_a_list_costs_as_many_queries_for_thirty_as_for_one(path: str, figures: dict[str, Any]) -> None:
    few, many = figures[path]
    if path not in STILL:
        more = MOST.get(path, MANY) - FEW
        assert many.rows >= few.rows + more, f"no seed makes this list grow: {few.rows} to {many.rows} rows"
    assert many.queries == few.queries, f"{few.queries} queries for {few.rows} rows, {many.queries} for {many.rows}"


@pytest.mark.asyncio(loop_scope="module")
async def test_no_list_takes_more_than_a_dozen_queries(figures: dict[str, Any]) -> None:
    greedy = {path: many.queries for path, (_, many) in figures.items() if many.queries > 12 and path not in WHOLE}
    assert greedy == {}
