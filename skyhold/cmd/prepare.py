# SPDX-License-Identifier: Apache-2.0
"""What a new cloud is given: flavors, an image, an external network, a demo project, a first server.

Starting the processes is up.py. Everything is asked for through the public API and only when it
isn't there, so this may run at every start; files of the user are never overwritten.
"""

from __future__ import annotations

import secrets
import shlex
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from skyhold.cmd import first_server
from skyhold.cmd.client import Client, Refused
from skyhold.cmd.problems import CannotStart
from skyhold.cmd.progress import Progress
from skyhold.cmd.serve import admin_password, write_private
from skyhold.core.settings.whole import Settings

FLAVORS = [
    # name, MiB of RAM, vCPUs, GiB of disk
    ("m1.nano", 128, 1, 1), ("m1.tiny", 512, 1, 1), ("m1.small", 2048, 1, 20),
    ("m1.medium", 4096, 2, 40), ("m1.large", 8192, 4, 80),
]
EXTERNAL_RANGES = ["172.24.4.0/24", "198.18.4.0/24", "10.253.4.0/24", "192.168.253.0/24", "100.127.4.0/24"]
CLIENT_DIR = Path("~/.config/openstack")
PRIVATE_RANGE = "10.11.12.0/24"


def run(settings: Settings, say: Progress, *, demo: bool, image: Path | None) -> None:
    password = admin_password(settings.home)
    admin = Client(settings.public_url, "admin", password, "admin")
    flavors(admin, say)
    tiny_image(settings, admin, say, image)
    external_network(settings, admin, say)
    clouds = {"skyhold-admin": cloud(settings, "admin", password, "admin")}
    if demo:
        demo_password = kept_password(settings.home / "demo-password")
        demo_project(admin, demo_password, say)
        clouds["skyhold"] = cloud(settings, "demo", demo_password, "demo")
        write_clouds(settings, clouds, say)
        client = demo_client(settings, demo_password)
        private_network(client, say)
        first_server.run(settings, client, say)
    else:
        write_clouds(settings, clouds, say)


def flavors(admin: Client, say: Progress) -> None:
    have = {flavor["name"] for flavor in admin.get("/compute/v2.1/flavors")["flavors"]}
    for number, (name, ram_mb, vcpus, disk_gb) in enumerate(FLAVORS, 1):
        if name not in have:
            flavor = {"id": str(number), "name": name, "ram": ram_mb, "vcpus": vcpus, "disk": disk_gb}
            admin.post("/compute/v2.1/flavors", {"flavor": flavor})
    if not have:
        say.done("Flavors " + ", ".join(name for name, *_ in FLAVORS))


def tiny_image(settings: Settings, admin: Client, say: Progress, file: Path | None) -> None:
    active = admin.get("/image/v2/images?name=tiny&status=active")["images"]
    if active:
        return
    if file is None:
        if settings.host.hypervisor != "fake":
            say.failed("No image `tiny`: give one with --image (script/up builds it)")
            return
        file = blank_image(settings)
    with say.step("Uploading the image `tiny`"):
        wish = {
            "name": "tiny", "disk_format": "qcow2", "container_format": "bare", "visibility": "public",
            "min_ram": 128, "min_disk": 0,
        }
        image = admin.post("/image/v2/images", wish)
        admin.upload(f"/image/v2/images/{image['id']}/file", file)


def blank_image(settings: Settings) -> Path:
    """For the fake hypervisor, which runs nothing, an empty disk will do."""
    from skyhold.core.qcow2 import empty

    path = settings.run_dir / "blank.qcow2"
    path.write_bytes(empty())
    return path


def external_network(settings: Settings, admin: Client, say: Progress) -> None:
    if admin.get("/network/v2.0/networks?name=public&router:external=true")["networks"]:
        return
    cidr = external_range(settings)
    wish = {
        "name": "public", "router:external": True, "provider:network_type": "flat",
        "provider:physical_network": "public",
    }
    network = admin.post("/network/v2.0/networks", {"network": wish})["network"]
    subnet = {
        "name": "public", "network_id": network["id"], "ip_version": 4, "cidr": cidr, "enable_dhcp": False,
        "gateway_ip": str(next(IPv4Network(cidr).hosts())),
    }
    admin.post("/network/v2.0/subnets", {"subnet": subnet})
    say.done(f"External network `public`: floating IPs from {cidr}")


def external_range(settings: Settings) -> str:
    """The range that was set, or the first that overlaps none of this machine's routes."""
    from skyhold.cmd.doctor import Machine, overlap

    if settings.network.external_cidr:
        return settings.network.external_cidr
    routes = [] if settings.host.network == "fake" else Machine().routes()
    for cidr in EXTERNAL_RANGES:
        if overlap(IPv4Network(cidr), routes) is None:
            return cidr
    raise CannotStart(
        "Every range tried for floating IPs overlaps a route of this machine: choose a free one with "
        "SKYHOLD_NETWORK_EXTERNAL_CIDR."
    )


def demo_project(admin: Client, password: str, say: Progress) -> None:
    projects = admin.get("/identity/v3/projects?name=demo")["projects"]
    users = admin.get("/identity/v3/users?name=demo")["users"]
    new = {"name": "demo", "description": "For trying things"}
    project = projects[0] if projects else create(admin, "project", new)
    wish = {"name": "demo", "password": password, "default_project_id": project["id"]}
    user = users[0] if users else create(admin, "user", wish)
    for name in ("member", "reader"):
        role = admin.get(f"/identity/v3/roles?name={name}")["roles"][0]
        admin.put(f"/identity/v3/projects/{project['id']}/users/{user['id']}/roles/{role['id']}")
    if not projects:
        say.done("Project and user `demo`")


def create(admin: Client, kind: str, wish: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = admin.post(f"/identity/v3/{kind}s", {kind: {"domain_id": "default", **wish}})[kind]
    return made


def demo_client(settings: Settings, password: str) -> Client:
    try:
        return Client(settings.public_url, "demo", password, "demo")
    except Refused as error:
        remedy = f"Write its password into {settings.home}/demo-password, or start with --no-demo."
        raise Refused(error.status, f"{error.text} {remedy}") from None


def private_network(demo: Client, say: Progress) -> None:
    """A network of the demo project's own, routed to `public`; what an interrupted start left out is added."""
    network = one(demo, "network", {"name": "private"}, "&router:external=false")
    wish = {"name": "private", "network_id": network["id"], "ip_version": 4, "cidr": PRIVATE_RANGE}
    subnet = one(demo, "subnet", wish)
    public = demo.get("/network/v2.0/networks?name=public")["networks"][0]
    router = one(demo, "router", {"name": "router", "external_gateway_info": {"network_id": public["id"]}})
    if demo.get(f"/network/v2.0/ports?device_id={router['id']}&network_id={network['id']}")["ports"]:
        return
    demo.put(f"/network/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    say.done(f"Network `private` ({PRIVATE_RANGE}), routed to `public`")


def one(demo: Client, kind: str, wish: dict[str, Any], more: str = "") -> dict[str, Any]:
    """The project's own thing of that name, made if it isn't there."""
    path = f"/network/v2.0/{kind}s"
    found: list[dict[str, Any]] = demo.get(f"{path}?name={wish['name']}{more}")[kind + "s"]
    made: dict[str, Any] = found[0] if found else demo.post(path, {kind: wish})[kind]
    return made


# ---- files for clients -----------------------------------------------------------------------


def cloud(settings: Settings, user: str, password: str, project: str) -> dict[str, Any]:
    return {
        "auth": {
            "auth_url": settings.public_url + "/identity/v3", "username": user, "password": password,
            "project_name": project, "user_domain_id": "default", "project_domain_id": "default",
        },
        "region_name": settings.region,
        "identity_api_version": 3,
        **({"cacert": str(settings.tls_authority)} if settings.http.tls == "auto" else {}),
    }


def write_clouds(settings: Settings, clouds: dict[str, Any], say: Progress) -> None:
    import yaml

    text = yaml.safe_dump({"clouds": clouds}, sort_keys=False)
    write_private(settings.home / "clouds.yaml", text)
    main = clouds.get("skyhold") or clouds["skyhold-admin"]
    write_private(settings.home / "openrc", openrc(main, settings.region))
    for name, body in (("clouds.yaml", text), ("skyhold-openrc", openrc(main, settings.region))):
        own = CLIENT_DIR.expanduser() / name
        if not own.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            write_private(own, body)
            say.done(f"Wrote {own}")


def openrc(one: dict[str, Any], region: str) -> str:
    auth = one["auth"]
    values = {
        "OS_AUTH_URL": auth["auth_url"], "OS_USERNAME": auth["username"], "OS_PASSWORD": auth["password"],
        "OS_PROJECT_NAME": auth["project_name"], "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default", "OS_REGION_NAME": region, "OS_IDENTITY_API_VERSION": "3",
    }
    if "cacert" in one:
        values["OS_CACERT"] = one["cacert"]
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def kept_password(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(12))
    return path.read_text().strip()
