# SPDX-License-Identifier: Apache-2.0
"""What a user sees of accounts and containers (SWI-01, SWI-03): made, described, bounded, deleted; what `/info` says.

Objects are test_objects.py, listings test_listings.py, who may test_access.py.
"""

from __future__ import annotations

import pytest

from skyhold.object.loops import orphans
from tests.kit.cloud import Cloud, Persona
from tests.story.object.conftest import Account


async def test_swi_01_a_container_lives(account: Account) -> None:
    await account.container("birds", X_Container_Meta_Color="black")
    seen = await account.head("birds", 204)
    assert seen["x-container-meta-color"] == "black" and seen["x-storage-policy"] == "Policy-0"
    assert (seen["x-container-object-count"], seen["x-container-bytes-used"]) == ("0", "0")
    await account.ask("PUT", "birds", 202, X_Container_Meta_Age="3")
    await account.ask("POST", "birds", 204, X_Container_Meta_Color="blue", X_Remove_Container_Meta_Age="x")
    seen = await account.head("birds")
    assert seen["x-container-meta-color"] == "blue" and "x-container-meta-age" not in seen
    await account.ask("POST", "birds", 204, X_Container_Meta_Color="")
    assert "x-container-meta-color" not in await account.head("birds")
    await account.ask("POST", "birds", 204, X_Container_Meta_Webmaster="ada")
    assert (await account.head("birds"))["x-container-meta-webmaster"] == "ada"
    await account.ask("POST", "birds", 400, X_Container_Meta_Web_Index="index.html")
    await account.put("birds/crow")
    assert b"delete them first" in (await account.ask("DELETE", "birds", 409)).body
    await account.ask("DELETE", "birds/crow", 204)
    await account.ask("DELETE", "birds", 204)
    for method in ("GET", "HEAD", "POST", "DELETE"):
        await account.ask(method, "birds", 404)


async def test_an_account_is_there_from_the_beginning(account: Account) -> None:
    seen = await account.head(status=204)
    assert (seen["x-account-container-count"], seen["x-account-object-count"]) == ("0", "0")
    await account.ask("POST", "", 204, X_Account_Meta_Color="black")
    assert (await account.head())["x-account-meta-color"] == "black"
    await account.ask("POST", "", 204, X_Remove_Account_Meta_Color="x")
    assert "x-account-meta-color" not in await account.head()
    for method in ("PUT", "DELETE"):
        await account.who.request(method, f"/object-store/v1/AUTH_{account.project_id}", status=405)


async def test_metadata_of_containers_and_accounts_has_bounds(account: Account) -> None:
    await account.container()
    for path, kind in (("", "Account"), ("birds", "Container")):
        for headers in ({f"X-{kind}-Meta-{'n' * 129}": "v"}, {f"X-{kind}-Meta-N": "v" * 257},
                        {f"X-{kind}-Meta-{i}": "v" for i in range(91)}):
            await account.ask("POST", path, 400, **headers)
        await account.ask("POST", path, 204, **{f"X-{kind}-Meta-{i}": "v" for i in range(60)})
        await account.ask("POST", path, 400, **{f"X-{kind}-Meta-{i}": "v" for i in range(50, 110)})
        removed = {f"X-Remove-{kind}-Meta-{i}": "x" for i in range(200, 250)}
        await account.ask("POST", path, 204, **removed | {f"X-{kind}-Meta-{i}": "v" for i in range(60, 90)})


@pytest.mark.parametrize("headers", [
    {"X_Versions_Enabled": "true"}, {"X_Versions_Location": "old"}, {"X_History_Location": "old"},
    {"X_Container_Meta_Web_Index": "index.html"}, {"X_Container_Sync_To": "//r/c/a/b"}, {"X_Storage_Policy": "gold"},
    {"X_Container_Meta_Temp_URL_Key": "k"}, {"X_Container_Meta_Access_Control_Allow_Origin": "*"},
    {"X_Container_Meta_Quota_Bytes": "many"}, {"X_Container_Meta_Quota_Count": "-1"},
    {"X_Container_Meta_Quota_Count": "0" * 20 + "9" * 30},
    {"X_Container_Read": ".r:"}, {"X_Container_Write": ".r:*"}, {"X_Container_Read": ".x:y"},
])
async def test_what_is_not_done_or_makes_no_sense_is_refused(account: Account, headers: dict[str, str]) -> None:
    await account.ask("PUT", "birds", 400, **headers)
    await account.container()
    await account.ask("POST", "birds", 400, **headers)


async def test_account_headers_that_are_not_done_are_refused(account: Account) -> None:
    for headers in ({"X_Account_Access_Control": "{}"}, {"X_Account_Meta_Temp_URL_Key": "k"}):
        await account.ask("POST", "", 400, **headers)


# ---- quotas ----------------------------------------------------------------------------------


async def test_a_container_quota(account: Account) -> None:
    await account.container("birds", X_Container_Meta_Quota_Bytes="10", X_Container_Meta_Quota_Count="2")
    seen = await account.head("birds")
    assert (seen["x-container-meta-quota-bytes"], seen["x-container-meta-quota-count"]) == ("10", "2")
    assert b"exceeds quota" in (await account.put("birds/crow", b"12345678901", 413)).body
    await account.put("birds/crow", b"1234567890")
    await account.put("birds/crow", b"12345")
    await account.ask("COPY", "birds/crow", 201, Destination="birds/raven")
    await account.put("birds/rook", b"", 413)
    await account.ask("COPY", "birds/crow", 413, Destination="birds/rook")
    await account.ask("POST", "birds", 204, X_Remove_Container_Meta_Quota_Count="x")
    await account.put("birds/rook", b"")
    await account.put("birds/jay", b"1", 413)


async def test_a_quota_names_used_limit_and_asked(account: Account, reseller: Persona, cloud: Cloud) -> None:
    await account.container("birds", X_Container_Meta_Quota_Bytes="10", X_Container_Meta_Quota_Count="1")
    await account.put("birds/crow", b"1234567")
    refused = (await account.put("birds/crow", b"12345678901", 413)).body.decode()
    assert "the container may hold 10 bytes and holds 7; this would add 4." in refused
    refused = (await account.put("birds/raven", b"1", 413)).body.decode()
    assert "the container may hold 1 objects and holds 1; this would add 1." in refused
    await account.to(reseller).ask("POST", "", 204, X_Account_Meta_Quota_Bytes="8")
    refused = (await account.put("birds/crow", b"123456789", 413)).body.decode()
    assert "the account may hold 8 bytes and holds 7; this would add 2." in refused
    # Whoever was let in to write is not told how much lies there.
    guest = await cloud.project()
    await account.ask("POST", "birds", 204, X_Container_Write=f"{guest.project_id}:*")
    refused = (await account.to(guest).put("birds/crow", b"12345678901", 413)).body.decode()
    assert "the container may hold 10 bytes; this would add 4." in refused


async def test_an_account_quota_is_the_resellers(account: Account, reseller: Persona) -> None:
    await account.container()
    for headers in ({"X_Account_Meta_Quota_Bytes": "5"}, {"X_Account_Quota_Count": "1"},
                    {"X_Remove_Account_Meta_Quota_Bytes": "x"}):
        await account.ask("POST", "", 403, **headers)
    await account.to(reseller).ask("POST", "", 204, X_Account_Meta_Quota_Bytes="5", X_Account_Quota_Count="1")
    seen = await account.head()
    assert seen["x-account-meta-quota-bytes"] == "5" and seen["x-account-quota-count"] == "1"
    await account.put("birds/crow", b"123456", 413)
    await account.put("birds/crow", b"12345")
    await account.put("birds/raven", b"", 413)
    await account.to(reseller).ask("POST", "", 204, X_Remove_Account_Meta_Quota_Bytes="x",
                                   X_Remove_Account_Quota_Count="x")
    await account.put("birds/raven", b"123456")


# ---- what is told to everybody ---------------------------------------------------------------


async def test_swi_03_info_names_only_what_is_done(cloud: Cloud) -> None:
    told = (await cloud.client().get("/object-store/info", status=200)).json
    assert told.keys() == {"swift", "account_quotas", "container_quotas", "slo"}
    assert told["slo"] == {"enabled": False, "max_manifest_segments": 0}
    assert told["swift"]["max_file_size"] == 5 * 1024**3 and told["swift"]["max_object_name_length"] == 1024
    assert told["swift"]["container_listing_limit"] == 10_000
    healthy = await cloud.client().get("/object-store/healthcheck", status=200)
    assert healthy.body == b"OK" and healthy.headers["x-trans-id"].startswith("tx")


async def test_swi_03_the_catalogue_has_the_projects_account(account: Account) -> None:
    who = account.who
    told = await who.get("/identity/v3/auth/catalog", status=200)
    found = next(each for each in told.json["catalog"] if each["type"] == "object-store")
    assert found["name"] == "swift"
    assert {each["url"] for each in found["endpoints"]} == {
        f"{account.cloud.core.settings.public_url}/object-store/v1/AUTH_{account.project_id}"
    }


async def test_what_nobody_names_goes_from_the_disk(account: Account) -> None:
    disk = account.cloud.core.settings.objects_dir
    stray = disk / "ab" / "ab000000-0000-4000-8000-000000000000"
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"left behind")
    await account.container()
    await account.put("birds/crow", b"caw")
    await account.cloud.core.loops.run_once("object.orphans")
    assert not stray.exists() and (await account.get("birds/crow")).body == b"caw"
    assert orphans.EVERY_S <= 600
