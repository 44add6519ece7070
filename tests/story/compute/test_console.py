# SPDX-License-Identifier: Apache-2.0
"""The console log: the last lines a guest wrote, exactly, as data and never as a page.

Reading the real serial port is in tests/drivers/compute.
"""

from __future__ import annotations

from tests.story.compute.scene import Scene

HOSTILE = [
    "<script>alert(document.cookie)</script>", "</pre><img src=x onerror=alert(1)>",
    '","admin":"yes', "\x1b]0;title\x07", "\\u003cscript\\u003e", "login: \N{RIGHT-TO-LEFT OVERRIDE}",
]


async def console(scene: Scene, server_id: str, length: int | None = None, status: int = 200):
    body = {"os-getConsoleOutput": {} if length is None else {"length": length}}
    return await scene.user.post(f"/compute/v2.1/servers/{server_id}/action", body, status=status)


async def test_cve_2026_40212_what_a_guest_writes_is_json_and_no_page(scene: Scene) -> None:
    """A log shown as it was ran in the administrator's browser; whoever shows ours gets text, whole."""
    server = await scene.server("noisy")
    for line in HOSTILE:
        scene.host.driver.say(server["id"], line)
    answer = await console(scene, server["id"])
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["output"]
    assert answer.json["output"].split("\r\n")[-len(HOSTILE) - 1:-1] == HOSTILE


async def test_names_of_servers_are_data_too(scene: Scene) -> None:
    server = await scene.server("<b>&amp;</b>")
    assert server["name"] == "<b>&amp;</b>"
    missing = await scene.user.get("/compute/v2.1/servers/<script>", status=404)
    assert missing.headers["content-type"] == "application/json"


async def test_the_last_lines_are_shown_as_many_as_asked(scene: Scene) -> None:
    server = await scene.server("chatty")
    for number in range(5):
        scene.host.driver.say(server["id"], f"line {number}")
    assert (await console(scene, server["id"], 2)).json["output"] == "line 3\r\nline 4\r\n"


async def test_nobody_else_reads_it(scene: Scene) -> None:
    server = await scene.server("private")
    scene.host.driver.say(server["id"], "the password is hunter2")
    stranger = await scene.cloud.project(["member"])
    refused = await stranger.post(
        f"/compute/v2.1/servers/{server['id']}/action", {"os-getConsoleOutput": {}}, status=404
    )
    assert b"hunter2" not in refused.body
