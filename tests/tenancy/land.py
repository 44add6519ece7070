# SPDX-License-Identifier: Apache-2.0
"""The land of one tenant: everything a cloud can hold, each thing once, and everybody who may come by.

What is asked about it is registry.py's. Every name, description and value the tenant chose holds
MARKER, so that one search tells whether an answer gave something away; what stands in addresses
(tags, keys, names of keypairs) does not, for an error may repeat the address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from skyhold.core.context import Context, Credentials, internal
from skyhold.core.db.tx import Tx
from skyhold.core.qcow2 import empty
from skyhold.host.machine import Machine
from skyhold.identity.delegation import rows, sealing
from skyhold.identity.logic.signatures import base64_mac
from skyhold.volume.volumes.store import SNAPSHOTS_STORE
from tests.kit.cloud import Cloud, Persona, sign_in
from tests.kit.saga_rows import ended_saga
from tests.story.identity import test_oauth1 as oauth1

MARKER = "quoth-the-raven"
PASSWORD = "a-password-of-the-land"
LATEST = {"OpenStack-API-Version": "compute 2.96"}


@dataclass
class Someone:
    """Somebody who calls: `near` belongs to the land's project or is its owner's own domain."""

    name: str
    client: Persona
    creds: Credentials
    near: bool = False


@dataclass
class Land:
    cloud: Cloud
    owner: Persona
    ids: dict[str, str] = field(default_factory=dict)
    people: list[Someone] = field(default_factory=list)
    host: Machine | None = None

    def secrets(self) -> list[str]:
        """What nobody from outside may read: the marker, and the ids of what is the tenant's alone."""
        private = ("project", "owner", "server", "network", "subnet", "port", "image", "router", "group",
                   "fip", "sg", "rule", "server_group", "app_cred", "access_rule", "flavor", "keypair_print",
                   "webhook", "limit", "credential", "key", "trust", "access_token", "volume", "used_volume",
                   "snapshot", "attachment")
        return [MARKER, *(self.ids[name] for name in private if name in self.ids)]

    def target(self) -> Mapping[str, Any]:
        """The land as the target of a rule, in every spelling that rules use."""
        project, domain = self.owner.project_id, self.owner.domain_id
        return {
            "project_id": project, "user_id": self.owner.user_id, "network:project_id": project,
            "visibility": "private",
            "target": {
                "user": {"id": self.owner.user_id, "domain_id": domain},
                "project": {"id": project, "domain_id": domain},
                "domain": {"id": domain}, "domain_id": domain, "group": {"domain_id": domain},
                "limit": {"project_id": project, "domain": {"id": None}, "project": {"domain_id": domain}},
                "role": {"domain_id": None, "name": "member"}, "token": {"user_id": self.owner.user_id},
                "credential": {"user_id": self.owner.user_id},
                "trust": {"trustor_user_id": self.owner.user_id, "trustee_user_id": self.owner.user_id},
            },
        }

    async def make(self, path: str, body: Any, status: int = 201, who: Persona | None = None) -> Any:
        answer = await (who or self.owner).post(path, body, status=status, headers=LATEST)
        return next(iter(answer.json.values())) if len(answer.json) == 1 else answer.json


async def settle(cloud: Cloud, host: Machine) -> Land:
    """The land, with its people."""
    land = Land(cloud, await owner_of(cloud), host=host)
    land.ids |= {"project": land.owner.project_id, "owner": land.owner.user_id, "domain": land.owner.domain_id}
    await grants(land)
    land.owner.token = await cloud.token(land.owner, {"project": {"id": land.owner.project_id}})
    for build in (identity, placement, network, image, objects, volume, compute, events, operator):
        await build(land)
    await people(land)
    # The issuer's first key is the cloud's own, made when it is first asked for: no rehearsal should be the first.
    await cloud.client().get("/identity/oidc/jwks", status=200)
    land.ids["token"] = land.owner.token or ""
    return land


async def owner_of(cloud: Cloud) -> Persona:
    domain = await named(cloud, "domain", {})
    project = await named(cloud, "project", {"domain_id": domain, "tags": ["blue"]})
    user = await named(cloud, "user", {"domain_id": domain, "password": PASSWORD, "email": MARKER + "@x.org"})
    await cloud.grant("manager", user, project_id=project)
    return Persona(
        cloud.core.asgi, user_id=user, user_name=MARKER, password=PASSWORD, domain_id=domain,
        project_id=project, project_name=MARKER, cloud=cloud,
    )


async def named(cloud: Cloud, kind: str, more: dict[str, Any]) -> str:
    body = {kind: {"name": MARKER + "-" + kind, "description": MARKER, **more}}
    return (await cloud.admin.post(f"/identity/v3/{kind}s", body, status=201)).json[kind]["id"]


async def grants(land: Land) -> None:
    """Every kind of grant once, to the owner and to a group."""
    cloud, ids = land.cloud, land.ids
    ids["group"] = await named(cloud, "group", {"domain_id": ids["domain"]})
    roles = (await cloud.admin.get("/identity/v3/roles", {"name": "member"}, status=200)).json["roles"]
    ids["member_role"] = roles[0]["id"]
    await cloud.admin.put(f"/identity/v3/groups/{ids['group']}/users/{ids['owner']}", status=204)
    for who in (f"users/{ids['owner']}", f"groups/{ids['group']}"):
        role = f"{who}/roles/{ids['member_role']}"
        for where in (f"projects/{ids['project']}", f"domains/{ids['domain']}"):
            await cloud.admin.put(f"/identity/v3/{where}/{role}", status=204)
            await cloud.admin.put(f"/identity/v3/OS-INHERIT/{where}/{role}/inherited_to_projects", status=204)
        await cloud.admin.put(f"/identity/v3/system/{role}", status=204)


async def identity(land: Land) -> None:
    admin, ids = land.cloud.admin, land.ids
    for name in ("role", "implied"):
        ids[name] = (await land.make("/identity/v3/roles", {"role": {"name": "role-" + name}}, who=admin))["id"]
    await admin.put(f"/identity/v3/roles/{ids['role']}/implies/{ids['implied']}", status=201)
    ids["idle_domain"] = (
        await land.make("/identity/v3/domains", {"domain": {"name": "idle", "enabled": False}}, who=admin)
    )["id"]
    ids["region"] = (await land.make("/identity/v3/regions", {"region": {"id": "elsewhere"}}, who=admin))["id"]
    body: Any = {"service": {"type": "weather", "name": "weather"}}
    ids["service"] = (await land.make("/identity/v3/services", body, who=admin))["id"]
    body = {"endpoint": {"service_id": ids["service"], "interface": "public", "url": "https://weather.test"}}
    ids["endpoint"] = (await land.make("/identity/v3/endpoints", body, who=admin))["id"]
    await limits(land)
    await policies_and_filters(land)
    rule = {"path": "/v2.1/" + MARKER, "method": "GET", "service": "compute"}
    body = {"application_credential": {"name": MARKER, "description": MARKER, "access_rules": [rule]}}
    made = await land.make(f"/identity/v3/users/{ids['owner']}/application_credentials", body)
    ids |= {"app_cred": made["id"], "access_rule": made["access_rules"][0]["id"]}
    rule["path"] += "/idle"
    path = f"/identity/v3/users/{ids['owner']}/application_credentials"
    made = await land.make(path, {"application_credential": {"name": "idle", "access_rules": [rule]}})
    ids["idle_rule"] = made["access_rules"][0]["id"]
    await land.owner.delete(f"{path}/{made['id']}", status=204)
    await delegation(land)
    await federation(land)


async def delegation(land: Land) -> None:
    ids, user = land.ids, f"/identity/v3/users/{land.owner.user_id}"
    body: Any = {"type": "cert", "blob": MARKER, "user_id": ids["owner"], "project_id": ids["project"]}
    ids["credential"] = (await land.make("/identity/v3/credentials", {"credential": body}))["id"]
    key = await land.make(f"{user}/credentials/OS-EC2", {"tenant_id": ids["project"]})
    ids["key"] = key["access"]
    ids["s3_signature"] = base64_mac(key["secret"], "text", "sha1")
    ids["ec2_expires"] = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    ids["ec2_signature"] = base64_mac(key["secret"], f"Expires{ids['ec2_expires']}SignatureVersion1", "sha1")
    trust = {
        "trustor_user_id": ids["owner"], "trustee_user_id": ids["owner"], "impersonation": True,
        "project_id": ids["project"], "roles": [{"name": "member"}],
    }
    made = await oauth1.consumer(land.cloud)
    ids |= {"oauth_consumer": made["id"], "access_token": "a" * 32}
    await internal(land.cloud.core).write(add_access_token, ids)
    ids["request_token"] = (await oauth1.ask(land.cloud, made, ids["project"]))["oauth_token"]
    ids["trust"] = (await land.make("/identity/v3/OS-TRUST/trusts", {"trust": trust}))["id"]


async def policies_and_filters(land: Land) -> None:
    admin, ids = land.cloud.admin, land.ids
    body: Any = {"policy": {"type": "text/plain", "blob": MARKER}}
    ids["policy"] = (await land.make("/identity/v3/policies", body, who=admin))["id"]
    config = {"ldap": {"url": f"ldap://{MARKER}.test"}, "identity": {"list_limit": 3}}
    await admin.put(f"/identity/v3/domains/{ids['domain']}/config", {"config": config}, status=201)
    path = f"/identity/v3/policies/{ids['policy']}/OS-ENDPOINT-POLICY"
    for tail in (
        f"endpoints/{ids['endpoint']}", f"services/{ids['service']}",
        f"services/{ids['service']}/regions/{ids['region']}",
    ):
        await admin.put(f"{path}/{tail}", status=204)
    path = "/identity/v3/OS-EP-FILTER"
    body = {"endpoint_group": {"name": MARKER, "filters": {"service_id": ids["service"]}}}
    ids["endpoint_group"] = (await land.make(f"{path}/endpoint_groups", body, who=admin))["id"]
    await admin.put(f"{path}/endpoint_groups/{ids['endpoint_group']}/projects/{ids['project']}", status=204)
    await admin.put(f"{path}/projects/{ids['project']}/endpoints/{ids['endpoint']}", status=204)


async def limits(land: Land) -> None:
    admin, ids = land.cloud.admin, land.ids
    for key, name in (("registered_limit", "ravens"), ("idle_registered_limit", "crows")):
        one: Any = {"service_id": ids["service"], "resource_name": name, "default_limit": 5}
        made = await land.make("/identity/v3/registered_limits", {"registered_limits": [one]}, who=admin)
        ids[key] = made[0]["id"]
    one = {
        "service_id": ids["service"], "resource_name": "ravens", "resource_limit": 3, "description": MARKER,
        "project_id": ids["project"],
    }
    ids["limit"] = (await land.make("/identity/v3/limits", {"limits": [one]}, who=admin))[0]["id"]


async def federation(land: Land) -> None:
    """What stands in the way between clouds and identity providers is the operator's: nothing of it is the land's."""
    admin, at = land.cloud.admin, "/identity/v3/OS-FEDERATION"
    land.ids |= {"idp": "the-idp", "mapping": "the-mapping", "sp": "the-sp"}
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
    await admin.put(f"{at}/mappings/the-mapping", {"mapping": {"rules": rules}}, status=201)
    await admin.put(f"{at}/identity_providers/the-idp", {"identity_provider": {"enabled": True}}, status=201)
    protocol = {"protocol": {"mapping_id": "the-mapping"}}
    await admin.put(f"{at}/identity_providers/the-idp/protocols/openid", protocol, status=201)
    sp = {"auth_url": "https://sp.test/auth", "sp_url": "https://sp.test/sp"}
    await admin.put(f"{at}/service_providers/the-sp", {"service_provider": sp}, status=201)
    client = {"client": {"name": "app", "redirect_uris": ["https://app.test/back"]}}
    land.ids["oidc_client"] = (await land.make("/identity/v3/OS-OIDC/clients", client, who=admin))["id"]


def add_access_token(tx: Tx, ctx: Context, ids: Mapping[str, str]) -> None:
    """By hand: only administrators may authorize, and the owner is none."""
    rows.access_tokens.insert(
        tx, id=ids["access_token"], consumer_id=ids["oauth_consumer"], user_id=ids["owner"], project_id=ids["project"],
        secret=sealing.seal(ctx, "a secret"), roles=[ids["member_role"]], expires_at=None,
    )


async def placement(land: Land) -> None:
    admin, ids = land.cloud.admin, land.ids
    head = {"OpenStack-API-Version": "placement 1.39"}
    for name in ("provider", "idle_provider"):
        answer = await admin.post(
            "/placement/resource_providers", {"name": MARKER + name}, headers=head, status=200
        )
        ids[name] = answer.json["uuid"]
    for what in ("resource_classes/CUSTOM_RAVEN", "resource_classes/CUSTOM_ROOK", "traits/CUSTOM_CROW"):
        await admin.put(f"/placement/{what}", headers=head, status=(201, 204))
    at = f"/placement/resource_providers/{ids['provider']}"
    await admin.put(
        at + "/inventories",
        {"resource_provider_generation": 0, "inventories": {"CUSTOM_RAVEN": {"total": 4}, "DISK_GB": {"total": 9}}},
        headers=head, status=200,
    )
    ids["consumer"] = "11111111-2222-4333-8444-555555555555"
    body = {
        "allocations": {ids["provider"]: {"resources": {"DISK_GB": 1}}}, "project_id": ids["project"],
        "user_id": ids["owner"], "consumer_generation": None, "consumer_type": "INSTANCE",
    }
    await admin.put(f"/placement/allocations/{ids['consumer']}", body, headers=head, status=204)


async def network(land: Land) -> None:
    ids, v2 = land.ids, "/network/v2.0/"
    said = {"name": MARKER, "description": MARKER}

    async def make(what: str, who: Persona | None = None, **body: Any) -> str:
        one = what.replace("-", "_").removesuffix("s")
        return (await land.make(v2 + what, {one: body}, who=who))["id"]

    ids["network"] = await make("networks", **said)
    ids["subnet"] = await make(
        "subnets", **said, network_id=ids["network"], ip_version=4, cidr="10.77.1.0/24"
    )
    ids["used_network"] = await make("networks", name="ravens", description=MARKER)
    ids["used_subnet"] = await make(
        "subnets", **said, network_id=ids["used_network"], ip_version=4, cidr="10.77.2.0/24"
    )
    ids["port"] = await make("ports", **said, network_id=ids["used_network"])
    ids["sg"] = await make("security-groups", **said)
    ids["rule"] = await make(
        "security-group-rules", description=MARKER, security_group_id=ids["sg"], direction="ingress",
        protocol="tcp", port_range_min=77, port_range_max=77,
    )
    ids["public"] = await make("networks", land.cloud.admin, name="public", **{"router:external": True})
    await make(
        "subnets", land.cloud.admin, network_id=ids["public"], ip_version=4, cidr="198.18.77.0/24",
        enable_dhcp=False,
    )
    ids["router"] = await make("routers", **said)
    ids["used_router"] = await make("routers", **said)
    door = f"{v2}routers/{ids['used_router']}"
    await land.owner.put(door + "/add_router_interface", {"subnet_id": ids["used_subnet"]}, status=200)
    await land.owner.put(
        f"{v2}routers/{ids['used_router']}",
        {"router": {"external_gateway_info": {"network_id": ids["public"]}}}, status=200,
    )
    ids["plain_subnet"] = await make(
        "subnets", **said, network_id=ids["used_network"], ip_version=4, cidr="10.77.3.0/24"
    )
    ids["plain_router"] = await make("routers", **said)
    await land.owner.put(
        f"{v2}routers/{ids['plain_router']}/add_router_interface", {"subnet_id": ids["plain_subnet"]}, status=200
    )
    route = {"routes": [{"destination": "10.9.0.0/16", "nexthop": "10.77.2.9"}]}
    await land.owner.put(door + "/add_extraroutes", {"router": route}, status=200)
    ids["fip"] = await make("floatingips", description=MARKER, floating_network_id=ids["public"])
    many = {"networks": "network", "subnets": "subnet", "ports": "port", "routers": "router",
            "floatingips": "fip", "security-groups": "sg"}
    for what, one in many.items():
        await land.owner.put(f"{v2}{what}/{ids[one]}/tags", {"tags": ["blue"]}, status=200)


async def image(land: Land) -> None:
    ids, v2 = land.ids, "/image/v2/images"
    body = {
        "name": MARKER, "disk_format": "qcow2", "container_format": "bare", "tags": ["blue"],
        "visibility": "shared", "raven": MARKER,
    }
    for name in ("image", "queued_image", "sleeping_image"):
        ids[name] = (await land.owner.post(v2, body, status=201)).json["id"]
        if name != "queued_image":
            await land.owner.put(
                f"{v2}/{ids[name]}/file", empty(), content_type="application/octet-stream", status=204
            )
    await land.owner.post(f"{v2}/{ids['sleeping_image']}/actions/deactivate", status=204)
    await imports(land, v2, body)
    ids["guest_project"] = (await land.cloud.project()).project_id
    await land.owner.post(f"{v2}/{ids['image']}/members", {"member": ids["guest_project"]}, status=200)
    definition = {"title": MARKER, "type": "string"}
    definitions = {
        "namespace": "birds", "description": MARKER, "owner": ids["project"],
        "properties": {"raven": definition}, "objects": [{"name": "crow", "properties": {"raven": definition}}],
        "tags": [{"name": "blue"}], "resource_type_associations": [{"name": "OS::Glance::Image"}],
    }
    await land.cloud.admin.post("/image/v2/metadefs/namespaces", definitions, status=201)


async def objects(land: Land) -> None:
    account = f"/object-store/v1/AUTH_{land.ids['project']}"
    await land.owner.post(account, status=204, headers={"X-Account-Meta-Song": MARKER})
    for name in ("birds", "nest"):
        await land.owner.put(f"{account}/{name}", status=201, headers={"X-Container-Meta-Song": MARKER})
    said = {"X-Object-Meta-Song": MARKER}
    await land.owner.put(f"{account}/birds/crow", MARKER.encode(), content_type="text/plain", headers=said, status=201)


async def operator(land: Land) -> None:
    land.ids["saga"] = await ended_saga(land.cloud.core)
    shown = await land.cloud.admin.get(f"/admin/v1/sagas/{land.ids['saga']}", status=200)
    land.ids["saga_request"] = shown.json["saga"]["request_id"]


async def imports(land: Land, v2: str, body: dict[str, Any]) -> None:
    """An image that was imported, and so a task; one that is staged; and one that is cached."""
    for name in ("imported_image", "staged_image"):
        path = f"{v2}/{(await land.owner.post(v2, body, status=201)).json['id']}"
        await land.owner.put(path + "/stage", empty(), content_type="application/octet-stream", status=204)
        land.ids[name] = path.rpartition("/")[2]
    imported = f"{v2}/{land.ids['imported_image']}"
    await land.owner.post(imported + "/import", {"method": {"name": "glance-direct"}}, status=202)
    assert await land.cloud.core.sagas.idle()
    land.ids["task"] = (await land.owner.get(imported + "/tasks", status=200)).json["tasks"][0]["id"]
    await land.cloud.admin.put(f"/image/v2/cache/{land.ids['image']}", status=202)
    await land.cloud.core.loops.run_once("image.caching")


async def volume(land: Land) -> None:
    """A volume in each state that some action starts from, a snapshot, and an attachment that waits."""
    ids, v3, admin, head = land.ids, "/volume/v3", land.cloud.admin, {"OpenStack-API-Version": "volume 3.70"}

    async def make(what: str, kind: str, body: Any, who: Persona = land.owner) -> str:
        made = await who.post(f"{v3}/{what}", {kind: body}, headers=head, status=(200, 202))
        return str(made.json[kind]["id"])

    for name in ("volume_type", "idle_type"):
        # Types are for all to see, but for their extra specs.
        body = {"name": f"kind-{name}", "description": "for all", "extra_specs": {"raven": MARKER}}
        ids[name] = await make("types", "volume_type", body, admin)
    said = {"name": MARKER, "description": MARKER, "metadata": {"color": MARKER}}
    wish = {**said, "size": 1, "volume_type": ids["volume_type"]}
    for name in ("volume", "idle_volume", "used_volume", "held_volume"):
        ids[name] = await make("volumes", "volume", wish)
    assert await land.cloud.core.sagas.idle()
    ids["snapshot"] = await make("snapshots", "snapshot", {**said, "volume_id": ids["volume"]})
    assert await land.cloud.core.sagas.idle()
    described = {"os-set_image_metadata": {"metadata": {"raven": MARKER}}}
    await land.owner.post(f"{v3}/volumes/{ids['volume']}/action", described, headers=head, status=200)
    used = {"os-attach": {"host_name": MARKER, "mountpoint": "/dev/vdc"}}
    await land.owner.post(f"{v3}/volumes/{ids['used_volume']}/action", used, headers=head, status=202)
    held = {"volume_uuid": ids["held_volume"], "connector": {"host": MARKER}}
    ids["attachment"] = await make("attachments", "attachment", held)
    ids["faulty_snapshot"] = await make("snapshots", "snapshot", {**said, "volume_id": ids["volume"]})
    assert await land.cloud.core.sagas.idle()
    await internal(land.cloud.core).write(add_fault, ids["faulty_snapshot"])


def add_fault(tx: Tx, ctx: Context, snapshot_id: str) -> None:
    """By hand: what went wrong with it, which is a message of its owner's."""
    row = SNAPSHOTS_STORE.find(tx, snapshot_id, lock=True)
    SNAPSHOTS_STORE.update(tx, row, fault=MARKER)


async def compute(land: Land) -> None:
    ids, v2, admin = land.ids, "/compute/v2.1", land.cloud.admin
    for name in ("flavor", "idle_flavor"):
        body: Any = {"name": f"{MARKER}-{name}", "ram": 128, "vcpus": 1, "disk": 1, "description": MARKER,
                     "os-flavor-access:is_public": False}
        ids[name] = (await land.make(v2 + "/flavors", {"flavor": body}, 200, admin))["id"]
        grant = {"addTenantAccess": {"tenant": ids["project"]}}
        await admin.post(f"{v2}/flavors/{ids[name]}/action", grant, status=200)
    await admin.post(
        f"{v2}/flavors/{ids['flavor']}/os-extra_specs", {"extra_specs": {"raven": MARKER}}, status=200
    )
    pair = {"keypair": {"name": "birds", "public_key": OWN_KEY, "type": "ssh"}}
    ids["keypair_print"] = (await land.make(v2 + "/os-keypairs", pair, 201))["fingerprint"]
    group = {"server_group": {"name": MARKER, "policy": "soft-affinity"}}
    ids["server_group"] = (await land.make(v2 + "/os-server-groups", group, 200))["id"]
    for name in ("aggregate", "used_aggregate"):
        body = {"aggregate": {"name": MARKER + name}}
        ids[name] = str((await land.make(v2 + "/os-aggregates", body, 200, admin))["id"])
    add = {"add_host": {"host": "host-1"}}
    await admin.post(f"{v2}/os-aggregates/{ids['used_aggregate']}/action", add, status=200)
    services = (await admin.get(v2 + "/os-services", {"binary": "nova-compute"}, headers=LATEST)).json
    ids["compute_service"] = services["services"][0]["id"]
    hypervisors = (await admin.get(v2 + "/os-hypervisors", headers=LATEST)).json
    ids["hypervisor"] = hypervisors["hypervisors"][0]["id"]
    await servers(land)


async def servers(land: Land) -> None:
    """One in each state that some action starts from."""
    ids, v2, owner = land.ids, "/compute/v2.1/servers", land.owner
    for name in ("server", "stopped", "paused", "suspended"):
        body = {
            "name": MARKER, "imageRef": ids["image"], "flavorRef": ids["flavor"], "description": MARKER,
            "networks": [{"uuid": ids["used_network"]}], "metadata": {"color": MARKER}, "tags": ["blue"],
        }
        ids[name] = (await land.make(v2, {"server": body}, 202))["id"]
    await land.cloud.core.sagas.idle()
    for name, action in (("stopped", "os-stop"), ("paused", "pause"), ("suspended", "suspend")):
        await owner.post(f"{v2}/{ids[name]}/action", {action: None}, status=202)
    assert await land.cloud.core.sagas.idle()
    await owner.post(f"{v2}/{ids['server']}/action", {"addSecurityGroup": {"name": ids["sg"]}}, status=202)
    shown = {
        name: (await owner.get(f"{v2}/{ids[name]}", headers=LATEST)).json["server"]["status"]
        for name in ("server", "stopped", "paused", "suspended")
    }
    assert list(shown.values()) == ["ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED"], shown
    ports = (await owner.get(f"{v2}/{ids['server']}/os-interface", status=200)).json["interfaceAttachments"]
    ids["server_port"] = ports[0]["port_id"]
    await attached(land, f"{v2}/{ids['server']}/os-volume_attachments")
    acts = (await owner.get(f"{v2}/{ids['server']}/os-instance-actions", headers=LATEST)).json
    ids["request"] = acts["instanceActions"][-1]["request_id"]
    idle = {"security_group": {"name": "idle"}}
    ids["idle_sg"] = (await land.make("/network/v2.0/security-groups", idle))["id"]


async def attached(land: Land, path: str) -> None:
    """A volume that is attached, and one that may be."""
    for name in ("server_volume", "spare_volume"):
        made = await land.make("/volume/v3/volumes", {"volume": {"size": 1, "name": MARKER}}, 202)
        land.ids[name] = made["id"]
    assert await land.cloud.core.sagas.idle()
    made = await land.make(path, {"volumeAttachment": {"volumeId": land.ids["server_volume"]}}, 200)
    land.ids["server_attachment"] = made["attachment_id"]
    assert await land.cloud.core.sagas.idle()


async def events(land: Land) -> None:
    """Nothing is delivered meanwhile: that would change its row."""
    hook = {"name": MARKER, "url": f"https://hooks.test/{MARKER}", "secret": MARKER * 2, "enabled": False}
    made = await land.make("/events/v1/webhooks", {"webhook": hook})
    land.ids["webhook"] = made["id"]


async def people(land: Land) -> None:
    cloud, owner = land.cloud, land.owner
    stranger = await cloud.project(["manager"])
    far = stranger.domain_id
    await add(land, "owner", owner, near=True)
    for role in ("member", "reader"):
        await add(land, role, await owner.colleague([role]), near=True)
    await add(land, "stranger", stranger)
    await add(land, "somebody", await with_token(cloud, await cloud.user(far), None))
    await add(land, "admin", cloud.admin)
    for role in ("admin", "reader"):
        user = await cloud.user(far)
        await cloud.grant(role, user.user_id, system=True)
        await add(land, f"system {role}", await with_token(cloud, user, {"system": {"all": True}}))
    for name, domain in (("own domain", owner.domain_id), ("foreign domain", far)):
        user = await cloud.user(domain)
        await cloud.grant("manager", user.user_id, domain_id=domain)
        client = await with_token(cloud, user, {"domain": {"id": domain}})
        await add(land, f"{name}'s manager", client, near=domain == owner.domain_id)


async def with_token(cloud: Cloud, user: Persona, scope: Any) -> Persona:
    user.token = await sign_in(cloud.core, {"id": user.user_id, "password": user.password}, scope)
    return user


async def add(land: Land, name: str, client: Persona, *, near: bool = False) -> None:
    creds = await land.cloud.core.authenticate(client.token)
    if creds.project_id:
        # Upstream makes a project's default group when first asked for groups; let that be over.
        await client.get("/network/v2.0/security-groups", status=200)
    land.people.append(Someone(name, client, creds, near))


PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl user@laptop"
OWN_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm raven@nest"
