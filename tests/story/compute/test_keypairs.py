# SPDX-License-Identifier: Apache-2.0
"""Stories of keypairs: a user's, whatever the project."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.kit.cloud import Cloud

KEYS = "/compute/v2.1/os-keypairs"
LATEST = {"OpenStack-API-Version": "compute 2.96"}
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl user@laptop"


def name() -> str:
    return "k-" + uuid.uuid4().hex[:8]


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": "compute " + version}


async def test_a_key_is_imported_shown_listed_and_deleted(cloud: Cloud) -> None:
    user, key = await cloud.project(), name()
    body = {"keypair": {"name": key, "type": "ssh", "public_key": PUBLIC}}
    made = (await user.post(KEYS, body, headers=LATEST, status=201)).json["keypair"]
    assert made["name"] == key and made["public_key"] == PUBLIC and "private_key" not in made
    shown = (await user.get(f"{KEYS}/{key}", headers=LATEST, status=200)).json["keypair"]
    assert shown["fingerprint"] == made["fingerprint"] and shown["user_id"] == user.user_id
    listed = (await user.get(KEYS, headers=LATEST, status=200)).json["keypairs"]
    assert [each["keypair"]["name"] for each in listed] == [key]
    await user.delete(f"{KEYS}/{key}", headers=LATEST, status=204)
    answer = await user.get(f"{KEYS}/{key}", headers=LATEST, status=404)
    assert answer.json["itemNotFound"]["message"] == f"Keypair {key} not found for user {user.user_id}"
    await user.delete(f"{KEYS}/{key}", headers=LATEST, status=404)


async def test_the_cloud_makes_keys_until_2_91(cloud: Cloud) -> None:
    user = await cloud.project()
    made = (await user.post(KEYS, {"keypair": {"name": name()}}, headers=at("2.91"), status=201)).json
    assert "PRIVATE KEY" in made["keypair"]["private_key"]
    await user.post(KEYS, {"keypair": {"name": name()}}, headers=at("2.92"), status=400)


async def test_names_are_unique_to_a_user(cloud: Cloud) -> None:
    user, other, key = await cloud.project(), await cloud.project(), name()
    body = {"keypair": {"name": key, "public_key": PUBLIC}}
    await user.post(KEYS, body, status=200)
    answer = await user.post(KEYS, body, status=409)
    assert answer.json["conflictingRequest"]["message"] == f"Key pair '{key}' already exists."
    await other.post(KEYS, body, status=200)
    await user.delete(f"{KEYS}/{key}", status=202)
    await other.get(f"{KEYS}/{key}", status=200)


async def test_a_refused_key_takes_no_quota(cloud: Cloud) -> None:
    user, key = await cloud.project(), name()
    limit = {"quota_class_set": {"key_pairs": 1}}
    await cloud.admin.put("/compute/v2.1/os-quota-class-sets/default", limit, headers=LATEST, status=200)
    try:
        body = {"keypair": {"name": key, "public_key": PUBLIC}}
        await user.post(KEYS, {"keypair": {"name": key, "public_key": "no key"}}, status=400)
        await user.post(KEYS, body, status=200)
        await user.post(KEYS, {"keypair": {"name": name(), "public_key": PUBLIC}}, status=403)
        await user.delete(f"{KEYS}/{key}", status=202)
        await user.post(KEYS, body, status=200)
    finally:
        limit = {"quota_class_set": {"key_pairs": 100}}
        await cloud.admin.put("/compute/v2.1/os-quota-class-sets/default", limit, headers=LATEST, status=200)


async def test_the_limit_of_a_project_counts_for_each_of_its_users(cloud: Cloud) -> None:
    user = await cloud.project()
    colleague = await user.colleague()
    await cloud.admin.put(f"/compute/v2.1/os-quota-sets/{user.project_id}", {"quota_set": {"key_pairs": 1}}, status=200)
    for one in (user, colleague):
        await one.post(KEYS, {"keypair": {"name": name(), "public_key": PUBLIC}}, status=200)
        refused = await one.post(KEYS, {"keypair": {"name": name(), "public_key": PUBLIC}}, status=403)
        assert "requested 1, but already used 1 of 1 key_pairs" in refused.json["forbidden"]["message"]
    stranger = await cloud.project()
    for _ in range(2):
        await stranger.post(KEYS, {"keypair": {"name": name(), "public_key": PUBLIC}}, status=200)


async def test_only_an_administrator_acts_for_another_user(cloud: Cloud) -> None:
    user, key = await cloud.project(), name()
    body = {"keypair": {"name": key, "type": "ssh", "public_key": PUBLIC, "user_id": user.user_id}}
    stranger = await cloud.project()
    await stranger.post(KEYS, body, headers=LATEST, status=403)
    await cloud.admin.post(KEYS, body, headers=LATEST, status=201)
    await user.get(f"{KEYS}/{key}", headers=LATEST, status=200)
    of_user = f"{KEYS}/{key}?user_id={user.user_id}"
    await cloud.admin.get(of_user, headers=LATEST, status=200)
    await stranger.get(of_user, headers=LATEST, status=404)
    await stranger.delete(of_user, headers=LATEST, status=404)
    await cloud.admin.delete(of_user, headers=LATEST, status=204)


async def test_keys_are_listed_in_pages_since_2_35(cloud: Cloud) -> None:
    user = await cloud.project()
    for key in ("a", "b", "c"):
        await user.post(KEYS, {"keypair": {"name": key, "public_key": PUBLIC}}, status=200)
    page = (await user.get(KEYS + "?limit=2", headers=LATEST, status=200)).json
    assert [each["keypair"]["name"] for each in page["keypairs"]] == ["a", "b"]
    rest = "/compute/" + page["keypairs_links"][0]["href"].partition("/compute/")[2]
    page = (await user.get(rest, headers=LATEST, status=200)).json
    assert [each["keypair"]["name"] for each in page["keypairs"]] == ["c"] and "keypairs_links" not in page
    await user.get(KEYS + "?marker=none", headers=LATEST, status=400)
    assert len((await user.get(KEYS + "?limit=1", status=200)).json["keypairs"]) == 3


@pytest.mark.parametrize("keypair", [
    {}, {"name": ""}, {"name": "x" * 256}, {"name": 5}, {"name": "x", "public_key": 5}, {"name": "x", "more": 1},
    {"name": "x", "type": "dsa"}, None, [],
])
async def test_a_key_that_makes_no_sense_is_refused(cloud: Cloud, keypair: Any) -> None:
    user = await cloud.project()
    await user.post(KEYS, {"keypair": keypair}, headers=LATEST, status=400)


async def test_names_are_plain_and_a_little_less_so_since_2_92(cloud: Cloud) -> None:
    user, mail = await cloud.project(), name() + "@home.example"
    body = {"keypair": {"name": mail, "public_key": PUBLIC}}
    await user.post(KEYS, body, status=400)
    await user.post(KEYS, body, headers=LATEST, status=201)
    await user.get(f"{KEYS}/{mail}", headers=LATEST, status=200)
    await user.post(KEYS, {"keypair": {"name": "a/b", "public_key": PUBLIC}}, headers=LATEST, status=400)
