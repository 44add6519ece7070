# SPDX-License-Identifier: Apache-2.0
"""The sections of skyhold.toml: every setting with its type, default and meaning.

What a setting does is the business of the part that reads it; all of them together, and the paths that follow from
them, are whole.py's. A new section also stands in `SECTIONS`, and in `Settings` there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
OrNone = Annotated[int, Meta(ge=-1)]
Seconds = Annotated[float, Meta(gt=0)]
Ratio = Annotated[float, Meta(gt=0)]

MIB = 1024 * 1024
TIB = MIB * MIB

VOLUME_QUOTAS = {
    "volumes": 10,
    "snapshots": 10,
    "gigabytes": 1000,
    "per_volume_gigabytes": -1,
    "backups": 10,
    "backup_gigabytes": 1000,
    "groups": 10,
}
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
    pool_overflow: Annotated[
        Count,
        Meta(description="Connections beyond pool_size in a rush: each is opened, and its statements planned, anew."),
    ] = 0
    sqlite_synchronous: Annotated[
        Literal["NORMAL", "FULL", "EXTRA", "OFF"],
        Meta(description="SQLite's PRAGMA synchronous. NORMAL may lose the last commits in a power cut."),
    ] = "NORMAL"


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
    token_provider: Annotated[
        Literal["fernet", "jws"],
        Meta(description="What new tokens are: sealed, so that only we can read them, or signed JSON."),
    ] = "fernet"  # noqa: S105 - the name of a form
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
    show_image_direct_url: Annotated[
        bool, Meta(description="Users see, as direct_url, where the bytes of their images are read first.")
    ] = False
    image_property_quota: Annotated[OrNone, Meta(description="Most properties of an image; -1 is no limit.")] = 128
    image_tag_quota: Annotated[OrNone, Meta(description="Most tags of an image; -1 is no limit.")] = 128
    image_member_quota: Annotated[
        OrNone, Meta(description="Most projects that an image is shared with; -1 is no limit.")
    ] = 128
    image_location_quota: Annotated[OrNone, Meta(description="Most locations of an image; -1 is no limit.")] = 10
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


class Object(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    store_dir: Annotated[
        str, Meta(description="Where the bytes of objects are. Empty: objects in the state directory.")
    ] = ""
    size_limit_bytes: Annotated[Positive, Meta(description="Longest object that is taken in one upload.")] = (
        5 * 1024 * MIB
    )


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


class Volume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    quotas: Annotated[
        dict[str, Annotated[int, Meta(ge=-1)]],
        Meta(description="Quotas of a project that has none of its own; -1 is no limit."),
    ] = field(default_factory=lambda: dict(VOLUME_QUOTAS))
    max_limit: Annotated[Positive, Meta(description="Most rows in one page of a list.")] = 1000


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least weight that is logged.")
    ] = "INFO"
    format: Annotated[Literal["json", "text"], Meta(description="json for programs, text for eyes.")] = "json"


class Journal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    retention_days: Annotated[Positive, Meta(description="How long the journal is kept, and sagas that ended.")] = 30


class Outbound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allow: Annotated[
        list[str],
        Meta(description="Ranges that users' URLs may reach although they are private, such as 192.0.2.0/24."),
    ] = []


SECTIONS: dict[str, type[Struct]] = {
    "http": Http,
    "database": Database,
    "host": Host,
    "identity": Identity,
    "keys": Keys,
    "security_compliance": SecurityCompliance,
    "image": Image,
    "object": Object,
    "network": Network,
    "volume": Volume,
    "compute": Compute,
    "log": Log,
    "journal": Journal,
    "outbound": Outbound,
}
TOP_LEVEL = {"region"}
