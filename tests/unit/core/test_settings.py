# SPDX-License-Identifier: Apache-2.0
"""How settings are found, checked and printed.

What each setting does is tested where it is used. Every case has its own state directory.
"""

from __future__ import annotations

import sqlite3
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from skyhold.core.settings.describe import default_file, describe
from skyhold.core.settings.load import default_home, load
from skyhold.core.settings.sections import DEFAULT_QUOTAS, SECTIONS, Host
from skyhold.core.settings.whole import SettingsError


def write(home: Path, text: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    (home / "skyhold.toml").write_text(text)
    return home


def test_an_empty_home_gives_the_defaults(tmp_path):
    got = load(tmp_path, {})
    assert got.http.port == 8780
    assert got.region == "RegionOne"
    assert got.public_url == "http://127.0.0.1:8780"
    assert got.database_url == f"sqlite:///{tmp_path}/skyhold.db"
    assert got.bus_socket == tmp_path / "run" / "bus.sock"
    assert got.compute.quotas["cores"] == 20


def test_the_file_is_read_and_the_environment_wins(tmp_path):
    write(tmp_path, 'region = "North"\n[http]\nport = 9000\n[host]\ncpu_allocation_ratio = 4\n')
    got = load(tmp_path, {"SKYHOLD_HTTP_PORT": "9001", "SKYHOLD_HTTP_TRADITIONAL_PORTS": "true"})
    assert (got.region, got.http.port, got.http.traditional_ports) == ("North", 9001, True)
    assert got.host.cpu_allocation_ratio == 4.0


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("SKYHOLD_NETWORK_DNS", "9.9.9.9, 1.1.1.1", "network", "dns", ["9.9.9.9", "1.1.1.1"]),
        ("SKYHOLD_NETWORK_DNS", "", "network", "dns", []),
        ("SKYHOLD_HOST_RAM_ALLOCATION_RATIO", "1.5", "host", "ram_allocation_ratio", 1.5),
        ("SKYHOLD_HOST_HYPERVISOR", "fake", "host", "hypervisor", "fake"),
        ("SKYHOLD_HTTP_PUBLIC_URL", "8780", "http", "public_url", "8780"),
        ("SKYHOLD_IDENTITY_TOKEN_LIFETIME_S", "60", "identity", "token_lifetime_s", 60),
    ],
)
def test_environment_values_take_the_type_of_their_setting(tmp_path, variable, text, section, key, value):
    got = load(tmp_path, {variable: text})
    assert getattr(getattr(got, section), key) == value


def test_naming_one_quota_leaves_the_others(tmp_path):
    write(tmp_path, "[compute.quotas]\ncores = 99\n")
    got = load(tmp_path, {"SKYHOLD_COMPUTE_QUOTAS": "instances=-1"})
    assert got.compute.quotas == {**DEFAULT_QUOTAS, "cores": 99, "instances": -1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http]\nprot = 1\n", ["'http.prot'", "http.port"]),
        ("[htpp]\nport = 1\n", ["'htpp'", "http"]),
        ("[http]\nlevel = 'INFO'\n", ["'http.level'", "log.level"]),
        ("[compute.quotas]\ncoers = 1\n", ["'compute.quotas.coers'", "compute.quotas.cores"]),
        ("http = 5\n", ["'http' is a section"]),
        ("[http]\nport = 'x'\n", ["$.http.port", "skyhold.toml"]),
        ("[http]\nport = 70000\n", ["$.http.port"]),
        ("[host]\nhypervisor = 'xen'\n", ["$.host.hypervisor"]),
        ("[http\n", ["can't be read"]),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_a_name(tmp_path, text, said):
    write(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, {})
    for part in said:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("SKYHOLD_HTTP_PROT", "1", "SKYHOLD_HTTP_PORT"),
        ("SKYHOLD_PORT", "1", "unknown setting"),
        ("SKYHOLD_HTTP_PORT", "many", "SKYHOLD_HTTP_PORT='many'"),
        ("SKYHOLD_COMPUTE_QUOTAS", "cores", "SKYHOLD_COMPUTE_QUOTAS"),
    ],
)
def test_an_environment_that_is_wrong_is_refused(tmp_path, variable, text, said):
    with pytest.raises(SettingsError, match=said):
        load(tmp_path, {variable: text})


def test_variables_of_others_are_left_alone(tmp_path):
    environ = {"SKYHOLD_HOME": "/elsewhere", "SKYHOLD_CACHE": "/c", "SKYHOLD_TEST_X": "1", "PATH": "/bin"}
    assert load(tmp_path, environ).home == tmp_path


def test_home_comes_from_argument_then_environment_then_user(tmp_path, monkeypatch):
    assert load(None, {"SKYHOLD_HOME": str(tmp_path)}).home == tmp_path
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_home({}) == Path("/var/lib/skyhold")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert default_home({"XDG_DATA_HOME": "/d"}) == Path("/d/skyhold")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ann"))
    assert default_home({}) == Path("/home/ann/.local/share/skyhold")


def test_the_default_file_is_the_default(tmp_path):
    text = default_file()
    assert load(write(tmp_path / "a", text), {}) == load(tmp_path / "a", {})
    bare = "\n".join(
        line[1:] if line.startswith("#") and line[1:2] != " " else line for line in text.split("\n")
    )
    named = tomllib.loads(bare)
    assert len(named["host"]) == len(Host.__struct_fields__)
    got, want = load(write(tmp_path / "b", bare), {}), load(tmp_path / "empty", {})
    assert msgspec.structs.replace(got, home=want.home) == want


def test_every_setting_is_described():
    rows = {row.name: row for row in describe()}
    count = 1 + sum(len(kind.__struct_fields__) for kind in SECTIONS.values())
    assert len(rows) == count
    assert all(row.meaning.endswith(".") for row in rows.values())
    assert rows["host.virt_type"].kind == "auto | kvm | tcg"
    assert rows["http.port"].default == "8780"
    assert len({row.variable for row in rows.values()}) == count


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8780"), ("::", "http://[::1]:8780"), ("fd00::1", "http://[fd00::1]:8780")],
)
def test_the_public_url_can_be_reached(tmp_path, host, url):
    assert load(tmp_path, {"SKYHOLD_HTTP_HOST": host}).public_url == url


def test_the_public_url_can_be_set(tmp_path):
    got = load(tmp_path, {"SKYHOLD_HTTP_PUBLIC_URL": "https://cloud.example/"})
    assert got.public_url == "https://cloud.example"


def test_the_cloud_id_is_made_once_and_closed(tmp_path):
    home = tmp_path / "cloud"
    first = load(home, {})
    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(lambda _: load(home, {}).cloud_id, range(32)))
    assert seen == {first.cloud_id}
    assert len(first.cloud_id) == 32
    assert (home / "cloud-id").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["cloud-id"]


def test_the_host_has_a_lasting_identity(tmp_path):
    got = load(tmp_path, {})
    assert got.host_uuid == load(tmp_path, {}).host_uuid
    assert load(tmp_path, {"SKYHOLD_HOST_UUID": "u", "SKYHOLD_HOST_NAME": "n"}).host_uuid == "u"


def test_prepare_makes_closed_directories(tmp_path):
    got = load(tmp_path / "home", {})
    got.prepare()
    for path in (got.home, got.run_dir, got.fernet_keys_dir, got.guests_dir, got.hosts_dir, got.images_dir):
        assert path.stat().st_mode & 0o777 == 0o700
    got.prepare()


def test_the_database_is_the_operators_alone_even_in_a_directory_that_is_open(tmp_path):
    home = tmp_path / "open"
    home.mkdir(mode=0o755)
    got = load(home, {})
    got.prepare_database()
    with closing(sqlite3.connect(home / "skyhold.db")) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE one (two)")
        assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}
    got.prepare_database()
    load(tmp_path / "none", {"SKYHOLD_DATABASE_URL": "postgresql://u@h/d"}).prepare_database()
    assert list(tmp_path.iterdir()) == [home]


def test_a_home_too_deep_for_sockets_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="too long"):
        load(Path("/" + "x" * 91), {})
    assert load(Path("/" + "x" * 90), {}).home.name == "x" * 90
