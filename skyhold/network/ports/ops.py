# SPDX-License-Identifier: Apache-2.0
"""What may be done with ports: create, change, delete; each in one transaction.

Addresses are ports/addressing.py, rows ports/store.py. Who may give a port an address, a MAC or a
`network:` owner on a network that isn't theirs is decided here, because a port that poses as a
router or DHCP server is how one tenant attacks the others on a shared network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT, Absent
from skyhold.network import addresses, attachments, changes, networks, policy, security_groups, subnets
from skyhold.network.answers import Dressed
from skyhold.network.logic import addresses as logic
from skyhold.network.ports import addressing, devices, store
from skyhold.network.ports.addressing import Wish
from skyhold.network.ports.shape import AddressPair, DhcpOption, FixedIpAsked, PortChange, PortCreate
from skyhold.network.quotas import quota
from skyhold.network.tables import PORT_GROUPS, ROUTERS, TAGS
from skyhold.network.writing import check_revision, given, guard, owner, wanted_columns


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A port to be made, when all that a user may not ask for has been refused."""

    project_id: str
    values: dict[str, Any] = {}
    mac: str | None = None
    wishes: list[Wish] | None = None
    group_ids: list[str] = []
    tags: list[str] = []


def insert_all(tx: Tx, ctx: Context, wants: PortCreate | list[PortCreate]) -> Any:
    return [insert(tx, ctx, want) for want in wants] if isinstance(wants, list) else insert(tx, ctx, wants)


def insert(tx: Tx, ctx: Context, want: PortCreate) -> Dressed:
    """Raises NotFound, Invalid, Forbidden, Conflict (in upstream's kinds) or OverQuota."""
    network = networks.find_visible(tx, ctx, want.network_id)
    project = owner(ctx, want)
    target = {"project_id": project, "network:project_id": network.project_id}
    policy.require(ctx, policy.CREATE_PORT.name, target)
    refuse_outside(ctx, network)
    guard(ctx, want, target, {"port_security": network.port_security, "pairs": [], "host_id": "", "profile": {}})
    wishes = read_wishes(want.fixed_ips)
    guard_addresses(ctx, "create_port", network, target, wishes)
    guard_owner(tx, ctx, "create_port", target, want.device_owner, want.device_id)
    service_port = want.device_owner.startswith("network:")
    secure = given(want.port_security, network.port_security and not service_port)
    pairs = read_pairs(given(want.pairs, None), secure)
    return make(tx, ctx, network, Plan(
        project_id=project, mac=None if want.mac is ABSENT else logic.read_mac(want.mac), wishes=wishes,
        group_ids=wanted_groups(tx, ctx, project, want.security_groups, secure and not service_port),
        tags=list(dict.fromkeys(given(want.tags, []))),
        values={
            "name": want.name, "description": want.description, "admin_up": want.admin_up,
            "device_id": want.device_id, "device_owner": want.device_owner, "port_security": secure,
            "pairs": pairs, "dhcp_options": merge_options([], read_options(given(want.dhcp_options, None) or [])),
            "vnic_type": want.vnic_type, "profile": given(want.profile, None) or {},
            **binding(given(want.host_id, None) or ""),
        },
    ))


def make(tx: Tx, ctx: Context, network: Any, plan: Plan) -> Dressed:
    """The port with addresses and groups; takes quota. Raises Conflict or OverQuota."""
    quota.take(tx, plan.project_id, port=1)
    row = store.insert(
        tx, ctx, network_id=network.id, mac=plan.mac, project_id=plan.project_id, tags=plan.tags, **plan.values
    )
    nets = subnets.of_network(tx, network.id)
    ips = addressing.give(tx, row, nets, plan.wishes) if nets or plan.wishes else []
    store.set_groups(tx, row.id, plan.group_ids)
    if plan.tags:
        tx.execute(TAGS.insert(), [{"resource_id": row.id, "tag": tag} for tag in plan.tags])
    changes.mark(tx, "SecurityGroup", plan.group_ids)
    if row.host_id:
        changes.mark(tx, "Port", [row.id])
    journal.record(tx, "port.create", row)
    return store.dressed(row, ips, plan.group_ids)


def writable(tx: Tx, ctx: Context, id: str, name: str) -> tuple[Any, Any, dict[str, Any]]:
    """The row (locked), its network and the target of rules, all from the database."""
    row = store.store.get(tx, ctx, id, may=policy.GET_PORT)
    network = networks.store.expect(tx, row.network_id)
    target = {**row._asdict(), "network:project_id": network.project_id}
    policy.require(ctx, name, target)
    return row, network, target


def change(tx: Tx, ctx: Context, id: str, want: PortChange, headers: Mapping[str, str | None]) -> Dressed:
    row, network, target = writable(tx, ctx, id, policy.UPDATE_PORT.name)
    check_revision(row, headers)
    refuse_cloud_port(row, want)
    guard(ctx, want, target, row._asdict())
    guard_owner(
        tx, ctx, "update_port", target, given(want.device_owner, row.device_owner),
        given(want.device_id, row.device_id), (row.device_owner, row.device_id),
    )
    values = wanted_columns(
        want, "name", "description", "admin_up", "device_id", "device_owner", "port_security", "vnic_type"
    )
    values |= changed_values(want, row)
    secure = values.get("port_security", row.port_security)
    group_ids, touched = change_groups(tx, ctx, row, want.security_groups, secure)
    if want.pairs is not ABSENT:
        values["pairs"] = read_pairs(want.pairs, secure)
    elif not secure and row.pairs:
        raise pairs_need_security()
    if want.fixed_ips is not ABSENT:
        change_addresses(tx, ctx, row, network, target, read_wishes(want.fixed_ips) or [])
        touched |= set(group_ids)
    row = update_row(tx, row, values)
    changes.mark(tx, "Port", [id])
    changes.mark(tx, "SecurityGroup", touched)
    journal.record(tx, "port.update", row)
    return store.dressed(row, store.fixed_ips(tx, [id]).get(id, []), group_ids)


def changed_values(want: PortChange, row: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if want.mac is not ABSENT and (mac := logic.read_mac(want.mac)) != row.mac:
        if row.host_id:
            raise errors.Conflict(f"Port {row.id} is bound to a host: unbind it to change its MAC address.",
                                  kind="PortBound")
        values["mac"] = mac
    if want.dhcp_options is not ABSENT:
        values["dhcp_options"] = merge_options(row.dhcp_options, read_options(want.dhcp_options or []))
    if want.profile is not ABSENT:
        values["profile"] = want.profile or {}
    if want.host_id is not ABSENT and (want.host_id or "") != row.host_id:
        values |= binding(want.host_id or "")
        values["status"] = "DOWN"
    return values


def update_row(tx: Tx, row: Any, values: dict[str, Any]) -> Any:
    try:
        with tx.nested():
            return store.store.update(tx, row, **values)
    except sa.exc.IntegrityError:
        raise errors.Conflict(
            f"Unable to complete operation for network {row.network_id}. "
            f"The mac address {values.get('mac')} is in use.",
            kind="MacAddressInUse",
        ) from None


def change_groups(
    tx: Tx, ctx: Context, row: Any, asked: list[str] | Absent | None, secure: bool
) -> tuple[list[str], set[str]]:
    """The groups the port is in now, and those whose members changed."""
    before = store.groups(tx, [row.id]).get(row.id, [])
    if asked is ABSENT:
        if before and not secure:
            raise errors.Conflict(
                "Port has security group associated. Cannot disable port security or IP address until security "
                "group is removed.", kind="PortSecurityPortHasSecurityGroup",
            )
        return before, set()
    after = wanted_groups(tx, ctx, row.project_id, asked or [], secure)
    if set(after) == set(before):
        return before, set()
    tx.execute(PORT_GROUPS.delete().where(PORT_GROUPS.c.port_id == row.id))
    store.set_groups(tx, row.id, after)
    return after, set(before) ^ set(after)


def change_addresses(
    tx: Tx, ctx: Context, row: Any, network: Any, target: Mapping[str, Any], wishes: Sequence[Wish]
) -> None:
    """Keep what is asked for again, give back the rest, take what is new."""
    held = store.fixed_ips(tx, [row.id]).get(row.id, [])
    free, new = list(held), []
    for wish in wishes:
        same = next((
            each for each in free
            if (each["ip_address"] == logic.read_ip(wish.ip) if wish.ip else each["subnet_id"] == wish.subnet_id)
        ), None)
        if same is not None:
            free.remove(same)
        else:
            new.append(wish)
    guard_addresses(ctx, "update_port", network, target, new)
    nets = subnets.of_network(tx, row.network_id)
    for each in free:
        addresses.give_back_one(tx, each["subnet_id"], each["ip_address"])
    attachments.let_go(tx, [row.id], [each["ip_address"] for each in free])
    if new:
        chosen = [addressing.resolve(row, nets, wish) for wish in new]
        for rank, (subnet, ip) in enumerate(chosen, len(held)):
            addressing.take(tx, subnet, row, ip, rank)


def remove(tx: Tx, ctx: Context, id: str, headers: Mapping[str, str | None]) -> None:
    row, _, _ = writable(tx, ctx, id, policy.DELETE_PORT.name)
    check_revision(row, headers)
    if row.device_owner in (store.GATEWAY, store.FLOATING, *store.INTERFACES) or store.answers_dhcp(row):
        raise errors.Conflict(
            f"Port {id} cannot be deleted directly via the port API: has device owner {row.device_owner}.",
            kind="ServicePortInUse",
        )
    discard(tx, [row])


def discard(tx: Tx, rows: Sequence[Any]) -> None:
    """Delete ports with all that hangs on them: quota, floating IPs, groups, the data plane."""
    rows = store.still_there(tx, rows)
    ids = [row.id for row in rows]
    if not ids:
        return
    members = store.groups(tx, ids)
    attachments.let_go(tx, ids)
    store.delete(tx, rows)
    for row in rows:
        if counted(row):
            quota.give(tx, row.project_id, port=1)
        journal.record(tx, "port.delete", row)
    changes.mark(tx, "Port", ids)
    changes.mark(tx, "SecurityGroup", [each for groups in members.values() for each in groups])


def counted(row: Any) -> bool:
    """Ports the cloud makes for itself take nobody's quota."""
    return bool(row.project_id) and not store.answers_dhcp(row)


# ---- what may be asked ---------------------------------------------------------------------


def refuse_outside(ctx: Context, network: Any) -> None:
    """External networks are for gateways and floating IPs, unless they are shared as well."""
    if network.shared or not network.external:
        return
    if not policy.permitted(ctx, policy.CREATE_SUBNET.name, {"network:project_id": network.project_id}):
        why = ctx.core.policy.explain(policy.CREATE_SUBNET.name, ctx.creds)
        raise errors.Forbidden(f"It is not allowed to create an interface on external network {network.id}: {why}",
                               kind="PolicyNotAuthorized")


def refuse_cloud_port(row: Any, want: PortChange) -> None:
    """Addresses and owner of a port that the cloud made for a subnet, router or floating IP follow those."""
    if not (store.answers_dhcp(row) or row.device_owner in (store.GATEWAY, store.FLOATING)):
        return
    if any(each is not ABSENT for each in (want.fixed_ips, want.device_owner, want.device_id, want.mac)):
        raise errors.Conflict(
            f"Port {row.id} belongs to the cloud itself: has device owner {row.device_owner}.", kind="ServicePortInUse"
        )


def guard_owner(
    tx: Tx, ctx: Context, verb: str, target: Mapping[str, Any], device_owner: str, device_id: str,
    before: tuple[str, str] = ("", ""),
) -> None:
    """Only a network's owner may have ports there that pose as the network's own (CVE-2015-5240), and
    nobody may hang a leg on somebody else's router (CVE-2014-0056) or a card on somebody else's server."""
    if (device_owner, device_id) == before:
        return
    devices.refuse_others(tx, ctx, device_owner, device_id)
    if not device_owner.startswith("network:"):
        return
    policy.require(ctx, f"{verb}:device_owner", target)
    if device_owner == store.DHCP and device_id.startswith(store.DHCP_DEVICE):
        # By this we know our own, which take no quota and go with their subnet.
        raise errors.Conflict(f"The following device_id {device_id} is of the cloud's own DHCP servers.",
                              kind="DeviceIDNotOwnedByTenant")
    if device_owner in (*store.INTERFACES, store.GATEWAY) and device_id:
        router = tx.first(sa.select(ROUTERS.c.project_id).where(ROUTERS.c.id == device_id))
        if router is not None and not policy.permitted(ctx, policy.UPDATE_ROUTER.name, router._mapping):
            raise devices.not_owned(device_id, "router")


def guard_addresses(
    ctx: Context, verb: str, network: Any, target: Mapping[str, Any], wishes: Sequence[Wish] | None
) -> None:
    """Choosing addresses is for the network's owner; on a shared network one may choose the subnet."""
    for wish in wishes or ():
        if wish.ip:
            policy.require(ctx, f"{verb}:fixed_ips:ip_address", target)
        elif not network.shared:
            policy.require(ctx, f"{verb}:fixed_ips:subnet_id", target)


def read_wishes(asked: list[FixedIpAsked] | Absent | None) -> list[Wish] | None:
    if asked is ABSENT or asked is None:
        return None
    return [Wish(each.subnet_id or None, each.ip_address or None) for each in asked]


def wanted_groups(
    tx: Tx, ctx: Context, project_id: str, asked: list[str] | Absent | None, secure: bool
) -> list[str]:
    if asked is ABSENT or asked is None:
        return [security_groups.ensure_default(tx, ctx, project_id)] if secure and project_id else []
    if asked and not secure:
        raise errors.Invalid(
            "Port security must be enabled and port must have an IP address in order to use security groups.",
            kind="PortSecurityAndIPRequiredForSecurityGroups",
        )
    return security_groups.refuse_unknown(tx, ctx, asked, project_id)


def read_pairs(asked: list[AddressPair] | None, secure: bool) -> list[dict[str, str]]:
    found = []
    for each in asked or ():
        version = logic.version_of(each.ip_address)
        cidr = logic.read_cidr(each.ip_address, version, "allowed_address_pairs")
        pair = {"ip_address": each.ip_address if "/" not in each.ip_address else cidr}
        if each.mac_address:
            pair["mac_address"] = logic.read_mac(each.mac_address)
        if pair in found:
            raise errors.Invalid(
                f"Request contains duplicate address pair: mac_address {each.mac_address} ip_address "
                f"{each.ip_address}.", kind="DuplicateAddressPairInRequest",
            )
        found.append(pair)
    if found and not secure:
        raise pairs_need_security()
    return found


def pairs_need_security() -> errors.Conflict:
    return errors.Conflict("Port Security must be enabled in order to have allowed address pairs on a port.",
                           kind="AddressPairAndPortSecurityRequired")


def read_options(asked: Sequence[DhcpOption]) -> list[dict[str, Any]]:
    found = []
    for each in asked:
        if str(each.ip_version) not in ("4", "6"):
            raise errors.Invalid(
                f"Invalid input for extra_dhcp_opts. Reason: ip_version '{each.ip_version}' is not 4 or 6."
            )
        found.append({"opt_name": each.name, "opt_value": each.value, "ip_version": int(each.ip_version)})
    names = [(each["opt_name"], each["ip_version"]) for each in found]
    if len(set(names)) < len(names):
        raise errors.Invalid("Invalid input for extra_dhcp_opts. Reason: Duplicate DHCP option.")
    return found


def merge_options(held: list[dict[str, Any]], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A value of null takes an option away."""
    merged = {(each["opt_name"], each["ip_version"]): each for each in [*held, *asked]}
    return [each for each in merged.values() if each["opt_value"] is not None]


def binding(host_id: str) -> dict[str, Any]:
    return {"host_id": host_id, "vif_type": "bridge" if host_id else "unbound"}
