# SPDX-License-Identifier: Apache-2.0
"""Every setting of a cloud: its type, default, meaning, and where the state lives on disk.

What a setting does is the business of the part that reads it; the `skyhold` command prints them.
A value comes from `SKYHOLD_<SECTION>_<KEY>`, else from $SKYHOLD_HOME/skyhold.toml, else from here, and a
name nobody knows is an error, never ignored.
"""

from __future__ import annotations

import difflib
import os
import secrets
import socket
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Ratio = Annotated[float, Meta(gt=0)]

MIB = 1024 * 1024
TIB = MIB * MIB

DEFAULT_QUOTAS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
}


class SettingsError(Exception):
    """A setting that can't be used; the text names it, where it was found, and what would do."""


class Http(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: Annotated[str, Meta(description="Address that the API listens on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port that the API listens on.")] = 8780
    processes: Annotated[
        int,
        Meta(ge=1, le=64, description="Control processes that share the port; more than one only on PostgreSQL or "
             "MariaDB. One a core is usual."),
    ] = 1
    public_url: Annotated[
        str, Meta(description="URL that clients reach the API at. Empty: made of host and port.")
    ] = ""
    header_limit_bytes: Annotated[Positive, Meta(description="Longest request head that is read.")] = 16384
    body_limit_bytes: Annotated[Positive, Meta(description="Longest JSON body that is read.")] = MIB
    slow_client_timeout_s: Annotated[
        Seconds, Meta(description="A client that takes longer for its request head is cut off.")
    ] = 30.0
    traditional_ports: Annotated[
        bool, Meta(description="Listen also on the port each OpenStack service is used to (5000, 8774, ...).")
    ] = False
    tls: Annotated[
        Literal["off", "auto", "files"],
        Meta(description="HTTPS: auto makes its own certificate in keys/tls; files takes the two below."),
    ] = "off"
    tls_certificate: Annotated[str, Meta(description="With tls = files: the PEM file of the certificate chain.")] = ""
    tls_key: Annotated[str, Meta(description="With tls = files: the PEM file of its private key.")] = ""
    tls_client_authorities: Annotated[
        str, Meta(description="PEM file of authorities whose client certificates are asked for. Empty: none are.")
    ] = ""


class Database(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[
        str, Meta(description="SQLAlchemy URL. Empty: SQLite in the file skyhold.db of the state directory.")
    ] = ""
    pool_size: Annotated[Positive, Meta(description="Connections kept open by each process.")] = 10
    pool_overflow: Annotated[Count, Meta(description="Connections beyond pool_size in a rush.")] = 10
    sqlite_synchronous: Annotated[
        Literal["NORMAL", "FULL", "EXTRA", "OFF"],
        Meta(description="SQLite's PRAGMA synchronous. NORMAL may lose the last commits in a power cut."),
    ] = "NORMAL"


class Bus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[
        str, Meta(description="Message bus. Empty: a unix socket in the state directory; else amqp://...")
    ] = ""


class Host(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hypervisor: Annotated[Literal["qemu", "fake"], Meta(description="What runs this host's guests.")] = "qemu"
    network: Annotated[Literal["native", "fake"], Meta(description="What connects this host's guests.")] = (
        "native"
    )
    uuid: Annotated[
        str, Meta(description="Identity of this host. Empty: made once, kept in the state directory.")
    ] = ""
    name: Annotated[str, Meta(description="Name of this host. Empty: the machine's own.")] = ""
    virt_type: Annotated[
        Literal["auto", "kvm", "tcg"],
        Meta(description="Accelerator of guests. auto: KVM where a probe shows that it really runs."),
    ] = "auto"
    reserved_ram_mb: Annotated[Count, Meta(description="Memory never given to guests, MiB.")] = 512
    reserved_disk_gb: Annotated[Count, Meta(description="Disk never given to guests, GiB.")] = 0
    cpu_allocation_ratio: Annotated[Ratio, Meta(description="Virtual CPUs given out per real one.")] = 16.0
    ram_allocation_ratio: Annotated[Ratio, Meta(description="Memory given out per real MiB.")] = 1.0
    disk_allocation_ratio: Annotated[Ratio, Meta(description="Disk given out per real GiB.")] = 1.0
    fake_vcpus: Annotated[Positive, Meta(description="CPUs that the fake hypervisor pretends.")] = 1024
    fake_ram_mb: Annotated[Positive, Meta(description="Memory that the fake hypervisor pretends, MiB.")] = (
        8 * MIB
    )
    fake_disk_gb: Annotated[Positive, Meta(description="Disk that the fake hypervisor pretends, GiB.")] = (
        100_000
    )


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token_lifetime_s: Annotated[Positive, Meta(description="How long a token is good.")] = 3600
    fernet_keys_dir: Annotated[
        str, Meta(description="Where the keys of tokens are. Empty: keys/fernet in the state directory.")
    ] = ""
    limit_model: Annotated[
        Literal["flat", "strict_two_level"],
        Meta(description="Whether a domain's unified limits bind its projects: strict_two_level, or not: flat."),
    ] = "flat"
    receipt_lifetime_s: Annotated[
        Positive, Meta(description="How long a user has for the next of several ways to sign in.")
    ] = 300
    allow_expired_window_s: Annotated[
        Count, Meta(description="How long after its end a token still counts for services that ask for that.")
    ] = 172_800
    totp_previous_windows: Annotated[
        int, Meta(ge=0, le=10, description="Steps of 30 s that a one-time password may be late.")
    ] = 1
    external_proxies: Annotated[
        list[str],
        Meta(description="Addresses or ranges of proxies whose X-Remote-User and X-SSL-Client-Cert are believed."),
    ] = []
    oauth2_mapping: Annotated[
        str, Meta(description="The mapping from certificates of OAuth2 clients to users; clients need it to sign in.")
    ] = "oauth2_mapping"
    directory_fresh_s: Annotated[
        Count, Meta(description="How old what an LDAP directory said may be before it is asked again for a list.")
    ] = 30
    directory_refresh_s: Annotated[
        Positive, Meta(description="How often each LDAP directory is read as a whole, whether somebody asks or not.")
    ] = 300
    password_time_cost: Annotated[Positive, Meta(description="Argon2id passes over the memory.")] = 2
    password_memory_kib: Annotated[int, Meta(ge=8, description="Argon2id memory per hash, KiB.")] = 19 * 1024
    password_parallelism: Annotated[Positive, Meta(description="Argon2id lanes.")] = 1


class Keys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rotation_days: Annotated[
        Count, Meta(description="Age at which keys of tokens and of secrets at rest get successors. 0: when asked.")
    ] = 30


class SecurityCompliance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lockout_failure_attempts: Annotated[
        Count, Meta(description="Wrong passwords in a row that lock a user out. 0: none do.")
    ] = 0
    lockout_duration_s: Annotated[
        Count, Meta(description="How long a user stays locked out. 0: until an administrator enables the user.")
    ] = 1800
    disable_user_account_days_inactive: Annotated[
        Count, Meta(description="Days without signing in that disable a user. 0: never.")
    ] = 0
    password_expires_days: Annotated[Count, Meta(description="How long a password is good. 0: for ever.")] = 0
    unique_last_password_count: Annotated[
        Count, Meta(description="How many of their last passwords users can't choose again.")
    ] = 0
    minimum_password_age_days: Annotated[
        Count, Meta(description="How long a password that its user chose is kept before the next.")
    ] = 0
    password_regex: Annotated[
        str, Meta(description="What a password must match from its start. Empty: anything will do.")
    ] = ""
    password_regex_description: Annotated[
        str, Meta(description="The same in words, for whoever has to choose a password.")
    ] = ""
    change_password_upon_first_use: Annotated[
        bool, Meta(description="A password that an administrator set must be changed before it signs in.")
    ] = False


class Image(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    store_dir: Annotated[
        str, Meta(description="Where image bytes are. Empty: images in the state directory.")
    ] = ""
    size_limit_bytes: Annotated[Positive, Meta(description="Longest image that is taken.")] = TIB
    virtual_size_limit_bytes: Annotated[
        Positive, Meta(description="Largest disk that an image may say it becomes.")
    ] = 64 * TIB
    cache_dir: Annotated[
        str, Meta(description="Where copies of images from slow stores are. Empty: image-cache in the state directory.")
    ] = ""
    cache_size_bytes: Annotated[Positive, Meta(description="What the copies of slow stores' images may fill.")] = (
        10 * MIB * 1024
    )
    cache_sites: Annotated[
        list[str], Meta(description="Further endpoints, each with a cache of its own: /image-<site> in the catalogue.")
    ] = []
    show_multiple_locations: Annotated[
        bool, Meta(description="Users see, and may set, where the bytes of their images are.")
    ] = False
    do_secure_hash: Annotated[
        bool, Meta(description="What a location holds is read and hashed when an image gets it.")
    ] = True
    import_plugins: Annotated[
        list[str],
        Meta(description="Done with imports, in order: image_decompression, image_conversion, inject_image_metadata."),
    ] = []
    conversion_format: Annotated[
        Literal["raw", "qcow2", "vmdk"], Meta(description="What image_conversion makes of images.")
    ] = "raw"
    inject_properties: Annotated[
        list[str], Meta(description="What inject_image_metadata adds, as name:value.")
    ] = []


class Network(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    external_cidr: Annotated[
        str, Meta(description="Range of floating IPs. Empty: a free one, overlapping no route of the host.")
    ] = ""
    mtu: Annotated[int, Meta(ge=1280, le=65535, description="MTU of new networks.")] = 1500
    dns: Annotated[
        list[str], Meta(description="Name servers told to guests. Empty: those the host uses.")
    ] = []


class Compute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    quotas: Annotated[
        dict[str, Annotated[int, Meta(ge=-1)]],
        Meta(description="Quotas of a project that has none of its own; -1 is no limit."),
    ] = field(default_factory=lambda: dict(DEFAULT_QUOTAS))
    max_limit: Annotated[Positive, Meta(description="Most rows in one page of a list.")] = 1000


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least weight that is logged.")
    ] = "INFO"
    format: Annotated[Literal["json", "text"], Meta(description="json for programs, text for eyes.")] = "json"


class Journal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    retention_days: Annotated[Positive, Meta(description="How long the journal is kept.")] = 30


class Outbound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allow: Annotated[
        list[str],
        Meta(description="Ranges that users' URLs may reach although they are private, such as 192.0.2.0/24."),
    ] = []


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, and the paths that follow from `home`.

    `load` makes one; a test may make one directly: `Settings(home=tmp_path)`.
    """

    home: Path
    region: Annotated[str, Meta(min_length=1, max_length=255, description="Name of this region.")] = (
        "RegionOne"
    )
    http: Http = field(default_factory=Http)
    database: Database = field(default_factory=Database)
    bus: Bus = field(default_factory=Bus)
    host: Host = field(default_factory=Host)
    identity: Identity = field(default_factory=Identity)
    keys: Keys = field(default_factory=Keys)
    security_compliance: SecurityCompliance = field(default_factory=SecurityCompliance)
    image: Image = field(default_factory=Image)
    network: Network = field(default_factory=Network)
    compute: Compute = field(default_factory=Compute)
    log: Log = field(default_factory=Log)
    journal: Journal = field(default_factory=Journal)
    outbound: Outbound = field(default_factory=Outbound)

    @property
    def public_url(self) -> str:
        """Where clients reach the API, without a slash at the end."""
        scheme = "http" if self.http.tls == "off" else "https"
        return self.http.public_url.rstrip("/") or f"{scheme}://{_reachable(self.http.host)}:{self.http.port}"

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.home / 'skyhold.db'}"

    @property
    def bus_url(self) -> str:
        return self.bus.url or f"unix://{self.bus_socket}"

    @property
    def bus_socket(self) -> Path:
        return self.run_dir / "bus.sock"

    @property
    def run_dir(self) -> Path:
        """Sockets and process ids: nothing that must survive a start."""
        return self.home / "run"

    @property
    def log_dir(self) -> Path:
        return self.home / "log"

    @property
    def images_dir(self) -> Path:
        return Path(self.image.store_dir) if self.image.store_dir else self.home / "images"

    @property
    def image_staging_dir(self) -> Path:
        """Content that waits for its import; on the disk of the images, so that it can become one without a copy."""
        return self.images_dir / ".staging"

    @property
    def image_workshop_dir(self) -> Path:
        """Where tools that convert images see them, and nothing else."""
        return self.images_dir / ".workshop"

    @property
    def image_cache_dir(self) -> Path:
        """Copies of images whose stores are slow."""
        return Path(self.image.cache_dir) if self.image.cache_dir else self.home / "image-cache"

    @property
    def keys_dir(self) -> Path:
        """The master key and what it seals."""
        return self.home / "keys"

    @property
    def tls_dir(self) -> Path:
        return self.keys_dir / "tls"

    @property
    def tls_authority(self) -> Path:
        """What clients of a cloud with `http.tls = "auto"` trust."""
        return self.tls_dir / "ca.crt"

    @property
    def fernet_keys_dir(self) -> Path:
        chosen = self.identity.fernet_keys_dir
        return Path(chosen) if chosen else self.keys_dir / "fernet"

    @property
    def receipt_keys_dir(self) -> Path:
        return self.keys_dir / "receipts"

    @property
    def guests_dir(self) -> Path:
        """Disks, sockets and logs of guests, one directory each."""
        return self.home / "guests"

    @property
    def hosts_dir(self) -> Path:
        """What each host agent of this machine keeps for itself."""
        return self.home / "hosts"

    @property
    def cloud_id(self) -> str:
        """32 hex digits that name this cloud, made at the first look and never changed."""
        return _kept(self.home / "cloud-id", lambda: uuid.uuid4().hex)

    @property
    def host_name(self) -> str:
        return self.host.name or socket.gethostname()

    @property
    def host_uuid(self) -> str:
        """This host's identity, made at the first look and never changed."""
        return self.host.uuid or _kept(self.home / "host-id", lambda: str(uuid.uuid4()))

    def prepare(self) -> None:
        """Make the state directories, closed to everybody else."""
        places = (self.home, self.run_dir, self.log_dir, self.images_dir, self.keys_dir)
        for path in (*places, self.fernet_keys_dir, self.guests_dir, self.hosts_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)


SECTIONS: dict[str, type[Struct]] = {
    "http": Http,
    "database": Database,
    "bus": Bus,
    "host": Host,
    "identity": Identity,
    "keys": Keys,
    "security_compliance": SecurityCompliance,
    "image": Image,
    "network": Network,
    "compute": Compute,
    "log": Log,
    "journal": Journal,
    "outbound": Outbound,
}
TOP_LEVEL = {"region"}

RESERVED_ENVIRONMENT = {"SKYHOLD_HOME", "SKYHOLD_CACHE"}
RESERVED_PREFIX = "SKYHOLD_TEST_"


def load(home: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of the cloud whose state is in `home` (else $SKYHOLD_HOME, else the default).

    Raises SettingsError for a file that can't be read, an unknown name or a value of the wrong kind.
    """
    place = (home or default_home(environ)).expanduser().absolute()
    values = _from_file(place / "skyhold.toml")
    for name, path, value in _from_environment(environ):
        _put(values, path, _convert(value, _type_at(path), name))
    _fill_quotas(values)
    try:
        settings = msgspec.convert({**values, "home": place}, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{place / 'skyhold.toml'}: {error}") from error
    _check_socket_path(settings)
    return settings


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """$SKYHOLD_HOME; else /var/lib/skyhold for root and the user's data directory for others."""
    if chosen := environ.get("SKYHOLD_HOME"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/lib/skyhold")
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "skyhold"


class Described(Struct, frozen=True, kw_only=True):
    """One setting as shown to a reader; `name` is dotted, `default` a TOML value."""

    name: str
    variable: str
    kind: str
    default: str
    meaning: str


def describe() -> list[Described]:
    """Every setting with its environment variable, kind, default and meaning, in file order."""
    rows = [_described(("region",), get_type_hints(Settings, include_extras=True)["region"], "RegionOne")]
    for section, kind in SECTIONS.items():
        defaults, hints = kind(), get_type_hints(kind, include_extras=True)
        rows += [_described((section, key), hints[key], getattr(defaults, key)) for key in hints]
    return rows


def default_file() -> str:
    """A skyhold.toml in which every setting stands, commented out, at its default."""
    lines = ["# Settings of one Skyhold cloud. Remove the '#' before a line to change it."]
    section = ""
    for row in describe():
        head, _, key = row.name.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{section}]"]
        lines += [f"# {row.meaning} ({row.kind})", f"#{key or row.name} = {row.default}"]
    return "\n".join(lines) + "\n"


def _described(path: tuple[str, ...], hint: Any, default: object) -> Described:
    return Described(
        name=".".join(path),
        variable="SKYHOLD_" + "_".join(path).upper(),
        kind=_kind(hint),
        default=_toml(default),
        meaning=_meaning(hint),
    )


def _meaning(hint: Any) -> str:
    found = [meta.description for meta in get_args(hint)[1:] if meta.description]
    return str(found[0])


def _kind(hint: Any) -> str:
    plain = _plain(hint)
    if get_origin(plain) is Literal:
        return " | ".join(get_args(plain))
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return words.get(plain) or {list: "list of texts", dict: "table of whole numbers"}[get_origin(plain)]


def _plain(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # JSON's texts, numbers and booleans are TOML's too.
    return msgspec.json.encode(value).decode()


def _from_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from error
    for name, value in values.items():
        _check_known(name, [*SECTIONS, *TOP_LEVEL], name, str(path))
        if name in SECTIONS:
            _check_section(name, value, str(path))
    return values


def _check_section(section: str, value: object, where: str) -> None:
    if not isinstance(value, dict):
        raise SettingsError(
            f"{where}: '{section}' is a section; write [{section}] and its settings below it."
        )
    for key in value:
        _check_known(key, SECTIONS[section].__struct_fields__, f"{section}.{key}", where)


def _check_known(key: str, known: Any, shown: str, where: str) -> None:
    if key in known:
        return
    prefix = shown.removesuffix(key)
    raise SettingsError(f"{where}: unknown setting '{shown}'; {_nearest(shown, prefix, sorted(known))}")


def _nearest(wrong: str, prefix: str, known: list[str]) -> str:
    """What the writer may have meant: like names here or in any section, else all that are here."""
    here = [prefix + name for name in known]
    elsewhere = [row.name for row in describe()]
    leaf = "." + wrong.rpartition(".")[2]
    close = [name for name in elsewhere if name.endswith(leaf)][:3]
    close = close or difflib.get_close_matches(wrong, dict.fromkeys(here + elsewhere), n=3, cutoff=0.7)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(here)}."


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    known = {row.variable: tuple(row.name.split(".")) for row in describe()}
    for name in sorted(environ):
        if name.startswith("SKYHOLD_") and not _reserved(name):
            _check_variable(name, known)
            yield name, known[name], environ[name]


def _reserved(name: str) -> bool:
    return name in RESERVED_ENVIRONMENT or name.startswith(RESERVED_PREFIX)


def _check_variable(name: str, known: Mapping[str, tuple[str, ...]]) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(close)}?" if close else "`skyhold settings` lists all."
    raise SettingsError(f"the environment: unknown setting '{name}'; {hint}")


def _type_at(path: tuple[str, ...]) -> Any:
    owner: type[Struct] = SECTIONS[path[0]] if len(path) > 1 else Settings
    return get_type_hints(owner, include_extras=True)[path[-1]]


def _convert(text: str, hint: Any, name: str) -> Any:
    """`text` as the kind that `hint` asks for; lists are a,b and tables are a=1,b=2."""
    value: object = text
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if get_origin(_plain(hint)) is list:
        value = parts
    elif get_origin(_plain(hint)) is dict:
        value = {key.strip(): item.strip() for key, _, item in (part.partition("=") for part in parts)}
    try:
        return msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"the environment: {name}={text!r}: {error}") from error


def _put(values: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    if isinstance(value, dict) and isinstance(values.get(path[-1]), dict):
        value = {**values[path[-1]], **value}
    values[path[-1]] = value


def _fill_quotas(values: dict[str, Any]) -> None:
    """Quotas that are named replace those of the default; the rest stay."""
    named = values.get("compute", {}).get("quotas")
    if not isinstance(named, dict):
        return
    for name in named:
        _check_known(name, DEFAULT_QUOTAS, f"compute.quotas.{name}", "settings")
    values["compute"]["quotas"] = {**DEFAULT_QUOTAS, **named}


def _check_socket_path(settings: Settings) -> None:
    # Linux gives a unix socket's name 108 bytes with the closing zero.
    room = 107 - len("/run/bus-64.sock")
    if not settings.bus.url and len(os.fsencode(settings.home)) > room:
        raise SettingsError(
            f"{settings.home} is too long for a state directory: its bus socket leaves {room} bytes "
            "for it; choose a shorter SKYHOLD_HOME, or set bus.url."
        )


def _reachable(host: str) -> str:
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104
    if host in wildcard:
        return wildcard[host]
    return f"[{host}]" if ":" in host else host


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The line in `path`; made once, by whoever comes first, readable by the owner alone."""
    try:
        if kept := path.read_text().strip():
            return kept
        # Torn by a power cut: nothing is left of it.
        path.unlink()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(make() + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        # A link, unlike a rename, never replaces what another process put there meanwhile.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
