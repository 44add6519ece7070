# SPDX-License-Identifier: Apache-2.0
"""What a user sees of objects (SWI-01): put, get, described, copied, deleted, and everything that is refused.

Listings are test_listings.py, who may test_access.py. Names and metadata are put through their paces here.
"""

from __future__ import annotations

import hashlib

import pytest

from tests.story.object.conftest import Account

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
NAMES = ["crow", "a/b/c", "/leading", "trailing/", "two//slashes", "space and +plus%41", "ünï ✓ 鳥", "semi;colon?q#f",
         ".", "..", "a/../b", "\ttab"]


async def test_swi_01_an_object_lives(account: Account) -> None:
    await account.container()
    made = await account.put("birds/crow", CONTENT, X_Object_Meta_Color="black", content_type="image/x-crow")
    assert made.headers["etag"] == MD5 and made.headers["last-modified"].endswith("GMT")
    got = await account.get("birds/crow")
    assert got.body == CONTENT and got.headers["content-type"] == "image/x-crow"
    seen = await account.head("birds/crow", 200)
    assert seen["content-length"] == str(len(CONTENT)) and seen["x-object-meta-color"] == "black"
    for told in (got.headers, seen):
        assert told["etag"] == MD5 and told["accept-ranges"] == "bytes" and "." in told["x-timestamp"]
    gone = await account.ask("DELETE", "birds/crow", 204)
    assert gone.body == b""
    assert b"no object" in (await account.get("birds/crow", 404)).body
    await account.ask("DELETE", "birds/crow", 404)


async def test_counters_are_right_at_once(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", b"12345")
    await account.put("birds/raven", b"1234567890")
    await account.put("birds/crow", b"1")
    assert await counted(account) == ("2", "11")
    await account.ask("COPY", "birds/raven", 201, Destination="birds/rook")
    assert await counted(account) == ("3", "21")
    for name in ("crow", "raven", "rook"):
        await account.ask("DELETE", f"birds/{name}", 204)
    assert await counted(account) == ("0", "0")


async def counted(account: Account) -> tuple[str, str]:
    container, whole = await account.head("birds"), await account.head()
    assert whole["x-account-container-count"] == "1"
    found = container["x-container-object-count"], container["x-container-bytes-used"]
    assert found == (whole["x-account-object-count"], whole["x-account-bytes-used"])
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_an_object_may_have_any_name(account: Account, name: str) -> None:
    await account.container("nests ✓")
    await account.put(f"nests ✓/{name}", name.encode())
    assert (await account.get(f"nests ✓/{name}")).body == name.encode()
    assert await account.names("nests ✓") == [name]
    await account.ask("COPY", f"nests ✓/{name}", 201, Destination="nests%20%E2%9C%93/egg")
    assert (await account.get("nests ✓/egg")).body == name.encode()


async def test_an_encoded_slash_is_a_slash(account: Account) -> None:
    await account.container()
    path = f"/object-store/v1/AUTH_{account.project_id}/birds/a%2Fb"
    await account.who.put(path, b"one", status=201)
    assert await account.names("birds") == ["a/b"]


async def test_the_address_of_an_account_or_container_may_end_with_a_slash(account: Account) -> None:
    await account.container()
    base = f"/object-store/v1/AUTH_{account.project_id}/"
    assert (await account.who.get(base, status=200)).body == b"birds\n"
    await account.who.get(base + "birds/", status=204)


async def test_names_that_are_too_long_or_no_text(account: Account) -> None:
    await account.container()
    await account.ask("PUT", "b" * 256, 201)
    assert b"longer than 256" in (await account.ask("PUT", "b" * 257, 400)).body
    await account.put("birds/" + "ü" * 512)
    assert b"longer than 1024" in (await account.put("birds/" + "ü" * 512 + "x", status=400)).body
    base = f"/object-store/v1/AUTH_{account.project_id}"
    await account.who.put(f"{base}/birds/%FF%FE", b"x", status=412)
    await account.who.put(f"{base}/%C3", status=412)
    await account.who.put(f"{base}/birds/nul%00", b"x", status=(404, 412))


async def test_without_a_container_there_is_nothing(account: Account) -> None:
    for method in ("PUT", "GET", "HEAD", "POST", "DELETE"):
        await account.ask(method, "nowhere/crow", 404, body=b"x" if method == "PUT" else None)
    await account.ask("COPY", "nowhere/crow", 404, Destination="nowhere/raven")


# ---- what is said of an object ---------------------------------------------------------------


async def test_a_post_replaces_what_was_said(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", X_Object_Meta_Color="black", X_Object_Meta_Age="3", Content_Encoding="gzip",
                      content_type="image/x-crow")
    await account.ask("POST", "birds/crow", 202, X_Object_Meta_Mood="ünsure", Content_Disposition="inline")
    seen = await account.head("birds/crow")
    assert seen["x-object-meta-mood"] == "ünsure" and seen["content-disposition"] == "inline"
    assert "x-object-meta-color" not in seen and "content-encoding" not in seen
    assert seen["content-type"] == "image/x-crow"
    await account.ask("POST", "birds/crow", 202, content_type="text/crow")
    assert (await account.head("birds/crow"))["content-type"] == "text/crow"
    assert (await account.get("birds/crow")).body == b"caw"


async def test_an_empty_value_is_kept_and_a_removed_one_is_not(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", X_Object_Meta_Empty="", X_Object_Meta_Gone="x", X_Remove_Object_Meta_Gone="x")
    seen = await account.head("birds/crow")
    assert seen["x-object-meta-empty"] == "" and "x-object-meta-gone" not in seen


async def test_the_type_is_guessed_from_the_name(account: Account) -> None:
    await account.container()
    for name, kind in (("crow.png", "image/png"), ("crow", "application/octet-stream")):
        await account.put(f"birds/{name}", content_type="")
        assert (await account.head(f"birds/{name}"))["content-type"] == kind
    await account.put("birds/crow.html", content_type="x/y", X_Detect_Content_Type="true")
    assert (await account.head("birds/crow.html"))["content-type"] == "text/html"


async def test_metadata_has_bounds(account: Account) -> None:
    await account.container()
    refused = (
        ({f"X-Object-Meta-{'n' * 129}": "v"}, b"name too long"), ({"X-Object-Meta-N": "v" * 257}, b"longer than 256"),
        ({f"X-Object-Meta-{i}": "v" for i in range(91)}, b"Too many"), ({"X-Object-Meta-": "v"}, b"empty"),
        ({f"X-Object-Meta-{i}": "v" * 250 for i in range(17)}, b"too large"),
    )
    for headers, words in refused:
        assert words in (await account.put("birds/crow", status=400, **headers)).body
    await account.put("birds/crow", **{f"X-Object-Meta-{i}": "v" for i in range(90)})
    for headers, words in refused:
        assert words in (await account.ask("POST", "birds/crow", 400, **headers)).body


async def test_a_page_that_a_user_wrote_runs_in_nobodys_name(account: Account) -> None:
    await account.container()
    await account.put("birds/crow.html", b"<script>", content_type="text/html")
    for told in ((await account.get("birds/crow.html")).headers, (await account.ask("GET", "birds")).headers):
        assert told["content-security-policy"] == "sandbox"
    refused = await account.get("birds/<script>", 404)
    assert b"<script>" not in refused.body and b"&lt;script&gt;" in refused.body


# ---- uploads ---------------------------------------------------------------------------------


async def test_an_etag_that_does_not_fit_is_refused(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", b"old")
    assert b"ETag" in (await account.put("birds/crow", CONTENT, 422, Etag="0" * 32)).body
    assert (await account.get("birds/crow")).body == b"old"
    await account.put("birds/crow", CONTENT, Etag=f'"{MD5}"')
    assert (await account.get("birds/crow")).body == CONTENT


async def test_only_where_nothing_is(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", b"first", If_None_Match="*")
    await account.put("birds/crow", b"second", 412, If_None_Match="*")
    await account.put("birds/crow", b"third", 400, If_None_Match=MD5)
    assert (await account.get("birds/crow")).body == b"first"


async def test_an_upload_without_a_length(account: Account) -> None:
    await account.container()
    headers = {"content-length": "", "content-type": "x/y"}
    sent = account.who._headers(headers, b"", "")
    bare = [(name, value) for name, value in sent if name != b"content-length"]
    path = f"/object-store/v1/AUTH_{account.project_id}/birds/crow"
    assert (await account.who._send("PUT", path, b"", bare)).status == 411
    chunked = [*bare, (b"transfer-encoding", b"chunked")]
    assert (await account.who._send("PUT", path, b"caw", chunked)).status == 201
    assert (await account.get("birds/crow")).body == b"caw"


async def test_nothing_is_an_object_too(account: Account) -> None:
    await account.container()
    await account.put("birds/egg", b"")
    got = await account.get("birds/egg")
    assert got.body == b"" and got.headers["content-length"] == "0"
    assert got.headers["etag"] == hashlib.md5(b"", usedforsecurity=False).hexdigest()


# ---- conditions and ranges -------------------------------------------------------------------


async def test_conditional_requests(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", CONTENT)
    since = (await account.head("birds/crow"))["last-modified"]
    for fine in ({"If_Match": MD5}, {"If_Match": f'"{MD5}"'}, {"If_Match": "*"}, {"If_None_Match": "other"},
                 {"If_Unmodified_Since": since}, {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
                 {"If_Modified_Since": "nonsense"}):
        assert (await account.get("birds/crow", **fine)).body == CONTENT
    for same in ({"If_None_Match": MD5}, {"If_None_Match": "*"}, {"If_Modified_Since": since}):
        answer = await account.who.get(
            f"/object-store/v1/AUTH_{account.project_id}/birds/crow", status=304,
            headers={name.replace("_", "-"): value for name, value in same.items()},
        )
        assert answer.body == b"" and answer.headers["etag"] == MD5
    for wrong in ({"If_Match": "other"}, {"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"}):
        await account.get("birds/crow", 412, **wrong)
    await account.ask("DELETE", "birds/crow", 412, If_Match="other")


@pytest.mark.parametrize(("asked", "start", "end"), [
    ("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None), ("bytes=5-999999999", 5, None),
    (" Bytes = 3-3", 3, 4),
])
async def test_a_range(account: Account, asked: str, start: int, end: int | None) -> None:
    await account.container()
    # The small one is read at once, the large one in pieces.
    for content in (CONTENT, CONTENT * 100):
        await account.put("birds/crow", content)
        got = await account.get("birds/crow", 206, Range=asked)
        assert got.body == content[start:end] and got.headers["content-length"] == str(len(got.body))
        first = start % len(content)
        assert got.headers["content-range"] == f"bytes {first}-{first + len(got.body) - 1}/{len(content)}"


async def test_a_large_object_comes_whole(account: Account) -> None:
    await account.container()
    await account.put("birds/condor", CONTENT * 200)
    got = await account.get("birds/condor")
    assert got.body == CONTENT * 200 and got.headers["content-length"] == str(len(got.body))


async def test_several_ranges(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", CONTENT, content_type="text/crow")
    got = await account.get("birds/crow", 206, Range="bytes=0-4,100-104,-5")
    boundary = got.headers["content-type"].partition("boundary=")[2]
    assert got.headers["content-type"].startswith("multipart/byteranges;")
    assert got.headers["content-length"] == str(len(got.body))
    parts = got.body.split(f"--{boundary}".encode())
    assert parts[0] == b"" and parts[-1] == b"--"
    bodies = [part.removesuffix(b"\r\n").partition(b"\r\n\r\n") for part in parts[1:-1]]
    assert [body for _, _, body in bodies] == [CONTENT[0:5], CONTENT[100:105], CONTENT[-5:]]
    assert b"Content-Range: bytes 100-104/10240" in bodies[1][0] and b"Content-Type: text/crow" in bodies[1][0]


async def test_ranges_that_cannot_be_given(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", CONTENT)
    many = ",".join(f"{i}-{i}" for i in range(51))
    for asked in ("bytes=99999-", f"bytes={many}", "bytes=0-9,1-9,2-9,3-9"):
        refused = await account.get("birds/crow", 416, Range=asked)
        assert refused.headers["content-range"] == f"bytes */{len(CONTENT)}"
    for nonsense in ("bytes=9-1", "crows=1-2", "bytes=", "bytes=-", "bytes=a-b", "bytes=" + "9" * 30 + "-"):
        assert (await account.get("birds/crow", Range=nonsense)).body == CONTENT
    assert (await account.get("birds/crow", Range="bytes=0-1", If_Range='"other"')).body == CONTENT
    await account.get("birds/crow", 206, Range="bytes=0-1", If_Range=MD5)


# ---- copies ----------------------------------------------------------------------------------


async def test_a_copy_takes_along_what_was_said(account: Account) -> None:
    await account.container()
    await account.container("nests")
    await account.put("birds/a crow", CONTENT, X_Object_Meta_Color="black", content_type="image/x-crow")
    done = await account.ask("COPY", "birds/a crow", 201, Destination="nests/raven", X_Object_Meta_Age="3")
    assert done.headers["x-copied-from"] == "birds/a%20crow" and done.headers["etag"] == MD5
    assert done.headers["x-object-meta-color"] == "black" and done.headers["x-copied-from-last-modified"]
    seen = await account.head("nests/raven")
    assert (seen["x-object-meta-color"], seen["x-object-meta-age"], seen["content-type"]) == (
        "black", "3", "image/x-crow"
    )
    await account.ask("DELETE", "birds/a crow", 204)
    assert (await account.get("nests/raven")).body == CONTENT


async def test_a_copy_by_put_with_fresh_metadata(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", CONTENT, X_Object_Meta_Color="black")
    await account.ask("PUT", "birds/raven", 201, X_Copy_From="/birds/crow", X_Fresh_Metadata="True",
                      X_Object_Meta_Age="3")
    seen = await account.head("birds/raven")
    assert "x-object-meta-color" not in seen and seen["x-object-meta-age"] == "3"
    await account.ask("PUT", "birds/raven", 201, X_Copy_From="birds/raven", content_type="text/raven")
    assert (await account.head("birds/raven"))["content-type"] == "text/raven"
    assert (await account.get("birds/raven")).body == CONTENT


async def test_copies_that_cannot_be(account: Account) -> None:
    await account.container()
    await account.put("birds/crow")
    await account.ask("COPY", "birds/crow", 412)
    for wrong in ("birds", "/", "birds/", "birds/%FF", "birds/nul%00"):
        await account.ask("COPY", "birds/crow", 412, Destination=wrong)
        await account.ask("PUT", "birds/raven", 412, X_Copy_From=wrong)
    await account.ask("COPY", "birds/crow", 404, Destination="nowhere/crow")
    await account.ask("PUT", "birds/raven", 404, X_Copy_From="birds/nothing")
    await account.put("birds/raven", b"body", 400, X_Copy_From="birds/crow")
    await account.ask("COPY", "birds/crow", 400, Destination="birds/raven", Range="bytes=0-1")
    assert await account.names("birds") == ["crow"]


# ---- what is not done ------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [
    {"X_Object_Manifest": "birds/seg"}, {"X_Delete_At": "9999999999"}, {"X_Delete_After": "60"},
    {"X_Symlink_Target": "birds/crow"},
])
async def test_what_is_not_done_is_refused(account: Account, headers: dict[str, str]) -> None:
    await account.container()
    assert b"doesn&#x27;t do" in (await account.put("birds/crow", status=400, **headers)).body
    await account.put("birds/crow")
    await account.ask("POST", "birds/crow", 400, **headers)


async def test_queries_of_what_is_not_done_are_refused(account: Account) -> None:
    await account.container()
    await account.put("birds/crow")
    await account.ask("PUT", "birds/raven", 400, body=b"[]", query={"multipart-manifest": "put"})
    await account.ask("DELETE", "birds/crow", 400, query={"multipart-manifest": "delete"})
    await account.ask("GET", "birds/crow", 400, query={"temp_url_sig": "x", "temp_url_expires": "1"})
    await account.ask("POST", "", 400, query={"bulk-delete": ""})
    await account.ask("PUT", "birds/raven", 400, body=b"x", query={"extract-archive": "tar"})
    assert await account.names("birds") == ["crow"]


@pytest.mark.parametrize("name", ["Range", "If-Match", "If-Modified-Since", "If-Range", "Content-Type", "Etag",
                                  "X-Object-Meta-A", "Referer", "Accept", "X-Copy-From-Account", "Destination-Account"])
async def test_hostile_headers_are_never_our_fault(account: Account, name: str) -> None:
    await account.container(X_Container_Read=".r:crow.test")
    await account.put("birds/crow")
    for value in ("", ",", ";=", "\x7f", "é", "%", "[", "http://[", "9" * 5000, "bytes=0-,-", "a" * 7000, "q=q;q=1"):
        for method in ("PUT", "GET", "HEAD", "POST", "COPY"):
            headers = {name: value, "Destination": "birds/raven"} | ({name: value} if name == "Destination" else {})
            await account.ask(method, "birds/crow", body=b"caw" if method == "PUT" else None, **headers)
        await account.ask("GET", "birds", **{name: value})
