# SPDX-License-Identifier: Apache-2.0
"""Stories of a client that knows nothing yet but the address."""

from __future__ import annotations

from tests.kit.cloud import Cloud


async def test_anybody_may_ask_for_the_versions(cloud: Cloud) -> None:
    nobody = cloud.client()
    (version,) = (await nobody.get("/compute/", status=200)).json["versions"]
    assert version["id"] == "v2.1" and version["status"] == "CURRENT"
    assert (version["min_version"], version["version"]) == ("2.1", "2.96")
    assert version["links"] == [{"rel": "self", "href": version["links"][0]["href"]}]
    assert version["links"][0]["href"].endswith("/compute/v2.1/")


async def test_one_version_tells_more(cloud: Cloud) -> None:
    for path in ("/compute/v2.1", "/compute/v2.1/"):
        version = (await cloud.client().get(path, status=200)).json["version"]
        assert [link["rel"] for link in version["links"]] == ["self", "describedby"]
        assert version["media-types"] == [{
            "base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1",
        }]
