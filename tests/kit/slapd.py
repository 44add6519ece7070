# SPDX-License-Identifier: Apache-2.0
"""A real LDAP server for tests: Debian's slapd, with a directory and ports of its own.

What the product makes of it is in tests/story/identity/test_directories.py. `Slapd` starts and stops one;
`tree()` makes a fresh organisation in it, so that stories share a server and nothing else.
"""

from __future__ import annotations

import datetime
import shutil
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.kit.patience import PATIENCE_S

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
SUFFIX, ROOT, PASSWORD = "dc=test", "cn=root,dc=test", "the-root-of-the-directory"
CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/slapd.pid
argsfile {home}/slapd.args
TLSCACertificateFile {home}/ca.pem
TLSCertificateFile {home}/cert.pem
TLSCertificateKeyFile {home}/key.pem
sizelimit unlimited
database mdb
maxsize 104857600
suffix "{suffix}"
rootdn "{root}"
rootpw {password}
directory {home}/db
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""


class Slapd:
    def __init__(self, home: Path) -> None:
        assert SLAPD, "Debian's slapd is not installed"
        self.home, self.port, self.tls_port = home, free_port(), free_port()
        (home / "db").mkdir(parents=True)
        certify(home)
        (home / "slapd.conf").write_text(CONF.format(home=home, suffix=SUFFIX, root=ROOT, password=PASSWORD))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def ca(self) -> str:
        return str(self.home / "ca.pem")

    def start(self) -> None:
        urls = f"{self.url}/ ldaps://127.0.0.1:{self.tls_port}/"
        assert SLAPD
        log = (self.home / "log").open("ab")
        self._process = subprocess.Popen(
            [SLAPD, "-f", str(self.home / "slapd.conf"), "-h", urls, "-d", "0"], stdout=log, stderr=log
        )
        log.close()
        deadline = time.monotonic() + PATIENCE_S
        while not answers(self.port):
            assert self._process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < deadline, "slapd does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(20)

    def root(self) -> Any:
        server = ldap3.Server("127.0.0.1", port=self.port, get_info=ldap3.NONE)
        return ldap3.Connection(server, ROOT, PASSWORD, auto_bind=True, raise_exceptions=True)

    def tree(self) -> Tree:
        with self.root() as root:
            if not exists(root, SUFFIX):
                root.add(SUFFIX, ["dcObject", "organization"], {"dc": "test", "o": "test"})
            base = f"ou=o-{uuid.uuid4().hex[:10]},{SUFFIX}"
            for dn in (base, f"ou=Users,{base}", f"ou=Groups,{base}"):
                root.add(dn, "organizationalUnit")
        return Tree(self, base)


@dataclass(frozen=True)
class Tree:
    slapd: Slapd
    base: str

    def user(self, uid: str, password: str = "", **more: Any) -> str:
        dn = self.address(uid)
        values: dict[str, Any] = {"cn": uid, "sn": uid, "uid": uid, **more}
        if password:
            values["userPassword"] = password
        with self.slapd.root() as root:
            root.add(dn, "inetOrgPerson", values)
        return dn

    def address(self, uid: str) -> str:
        return f"uid={escape(uid)},ou=Users,{self.base}"

    def group(self, cn: str, *members: str, **more: Any) -> str:
        dn = f"cn={cn},ou=Groups,{self.base}"
        with self.slapd.root() as root:
            root.add(dn, "groupOfNames", {"member": list(members) or ["cn=nobody"], **more})
        return dn

    def change(self, dn: str, **values: Any) -> None:
        changes = {
            name: [(ldap3.MODIFY_REPLACE, value if isinstance(value, list) else [value])]
            for name, value in values.items()
        }
        with self.slapd.root() as root:
            root.modify(dn, changes)

    def delete(self, dn: str) -> None:
        with self.slapd.root() as root:
            root.delete(dn)

    def config(self, **more: Any) -> dict[str, Any]:
        """What a domain is told to use this tree."""
        return {
            "identity": {"driver": "ldap"},
            "ldap": {
                "url": self.slapd.url, "user": ROOT, "password": PASSWORD, "user_tree_dn": f"ou=Users,{self.base}",
                "group_tree_dn": f"ou=Groups,{self.base}", "user_id_attribute": "uid", "user_name_attribute": "uid",
                "user_enabled_attribute": "employeeType", "group_name_attribute": "cn",
                "pool_connection_timeout": 2, **more,
            },
        }


def exists(connection: Any, dn: str) -> bool:
    try:
        connection.search(dn, "(objectClass=*)", ldap3.BASE)
    except ldap3.core.exceptions.LDAPNoSuchObjectResult:
        return False
    return True


def escape(value: str) -> str:
    from ldap3.utils.dn import escape_rdn

    return str(escape_rdn(value))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def certify(home: Path) -> None:
    """A certificate for localhost, signed by an authority made for it."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "directory tests")])

    def builder(name: x509.Name, public: Any) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(ca_name).public_key(public)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        return made.not_valid_after(now + datetime.timedelta(days=1))

    ca = builder(ca_name, ca_key.public_key()).add_extension(x509.BasicConstraints(True, None), critical=True)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    leaf = builder(name, key.public_key()).add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    )
    pem = serialization.Encoding.PEM
    (home / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (home / "cert.pem").write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (home / "key.pem").write_bytes(key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
