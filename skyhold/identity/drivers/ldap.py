# SPDX-License-Identifier: Apache-2.0
"""Directories spoken to by LDAP: searched by pooled connections in threads of their own, never written.

What entries mean is logic/directory.py. Every wait is bounded, and a directory has no more threads than
connections, so that one that hangs takes nothing from the others.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from skyhold.identity.drivers.base import Away, Person, Team
from skyhold.identity.logic import directory as logic
from skyhold.identity.logic.directory import Entry, Plan

T = TypeVar("T")

WAIT_S = 5
"""For a connection and for each answer, unless pool_connection_timeout says otherwise."""
MOST_THREADS = 8
PAGE = 500
LONG_S = 120
"""For reading a whole directory."""
VERIFY = {"demand": ssl.CERT_REQUIRED, "allow": ssl.CERT_OPTIONAL, "never": ssl.CERT_NONE}
SUCCESS, NO_SUCH_OBJECT, INVALID_CREDENTIALS = 0, 32, 49


class Open(NamedTuple):
    connection: Any
    since_s: float


class LdapDirectory:
    """One domain's directory. `options` are the ldap group of its configuration."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._idle: list[Open] = []
        self._threads: ThreadPoolExecutor | None = None
        self._plan: Plan | None = None

    async def person(self, *, name: str | None = None, local_id: str | None = None) -> Person | None:
        return await self._run(self._person, name, local_id)

    async def matches(self, person: Person, password: str) -> bool:
        # A bind without a password succeeds, as nobody (RFC 4513, section 5.1.2).
        return bool(password) and await self._run(self._matches, person, password)

    async def teams_of(self, person: Person) -> list[Team]:
        return await self._run(self._teams_of, person)

    async def everything(self) -> tuple[list[Person], list[Team]]:
        return await self._run(self._everything, wait_s=LONG_S)

    def close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)
        idle, self._idle = self._idle, []
        for each in idle:
            quietly(each.connection.unbind)

    # ---- in a thread -----------------------------------------------------------------------

    async def _run(self, work: Callable[..., T], *args: Any, wait_s: float = 0) -> T:
        """Raises Away for whatever goes wrong over there."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="ldap")
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._guarded, work, args)
        try:
            async with asyncio.timeout(wait_s or self._wait_s * 4):
                return await future
        except TimeoutError:
            raise Away("it does not answer in time") from None

    def _guarded(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        try:
            return work(*args)
        except Exception as error:
            # What a broken server sends makes the library raise anything at all.
            raise Away(f"{type(error).__name__}: {str(error)[:300]}") from None

    @property
    def plan(self) -> Plan:
        """Raises ValueError for a configuration that can't be used."""
        if self._plan is None:
            self._plan = logic.understand(self._options)
        return self._plan

    @property
    def _wait_s(self) -> float:
        chosen = self._options.get("pool_connection_timeout")
        try:
            return min(60.0, float(chosen)) if chosen is not None and float(chosen) > 0 else WAIT_S
        except (TypeError, ValueError):
            return WAIT_S

    # ---- questions -------------------------------------------------------------------------

    def _person(self, name: str | None, local_id: str | None) -> Person | None:
        options = self.plan.options
        attribute = options["user_name_attribute"] if local_id is None else options["user_id_attribute"]
        wanted = name if local_id is None else local_id
        assert wanted is not None
        text = logic.entries(options["user_objectclass"], options["user_filter"], **{attribute: wanted})
        with self._connection() as connection:
            found = self._search(connection, self.plan.user_base, text, self._user_attributes)
            # Two of one name: nobody can say who is meant.
            if len(found) != 1:
                return None
            return logic.person(self.plan, found[0], self._enabled(connection))

    def _matches(self, person: Person, password: str) -> bool:
        connection = self._opened()
        try:
            connection.rebind(user=person.address, password=password, authentication="SIMPLE")
            code = connection.result["result"]
        finally:
            quietly(connection.unbind)
        if code in (SUCCESS, INVALID_CREDENTIALS):
            return bool(code == SUCCESS)
        # Locked, expired, unwilling: whatever the directory has against it, it is no yes.
        return False

    def _teams_of(self, person: Person) -> list[Team]:
        options = self.plan.options
        by_id = options["group_members_are_ids"]
        member = {options["group_member_attribute"]: person.local_id if by_id else person.address}
        text = logic.entries(options["group_objectclass"], options["group_filter"], **member)
        with self._connection() as connection:
            found = self._search(connection, self.plan.group_base, text, self._group_attributes)
        key = person.local_id if by_id else logic.address(person.address)
        return present(logic.team(self.plan, entry, {key: person.local_id}) for entry in found)

    def _everything(self) -> tuple[list[Person], list[Team]]:
        plan, options = self.plan, self.plan.options
        with self._connection() as connection:
            enabled = self._enabled(connection)
            text = logic.entries(options["user_objectclass"], options["user_filter"])
            found = self._search(connection, plan.user_base, text, self._user_attributes)
            people = present(logic.person(plan, entry, enabled) for entry in found)
            text = logic.entries(options["group_objectclass"], options["group_filter"])
            groups = self._search(connection, plan.group_base, text, self._group_attributes)
        by_id = options["group_members_are_ids"]
        known = {each.local_id if by_id else logic.address(each.address): each.local_id for each in people}
        return people, present(logic.team(plan, entry, known) for entry in groups)

    def _enabled(self, connection: Any) -> frozenset[str] | None:
        """Addresses of the members of the group that means being enabled, where there is such a group."""
        options = self.plan.options
        if not options["user_enabled_emulation"]:
            return None
        base = options["user_enabled_emulation_dn"] or f"cn=enabled_users,{self.plan.user_base}"
        by_group = options["user_enabled_emulation_use_group_config"]
        attribute = options["group_member_attribute"] if by_group else "member"
        found = self._search(connection, base, "(objectClass=*)", [attribute], scope="BASE")
        values = [value for entry in found for value in entry[1].get(attribute.lower(), ())]
        return frozenset(logic.address(logic.text(value)) for value in values)

    @property
    def _user_attributes(self) -> list[str]:
        options = self.plan.options
        names = [options[f"user_{each}_attribute"] for each in (
            "id", "name", "mail", "description", "enabled", "default_project_id"
        )]
        more = [pair.partition(":")[0].strip() for pair in options["user_additional_attribute_mapping"]]
        return sorted({name for name in (*names, *more) if name})

    @property
    def _group_attributes(self) -> list[str]:
        options = self.plan.options
        names = [options[f"group_{each}_attribute"] for each in ("id", "name", "desc", "member")]
        more = [pair.partition(":")[0].strip() for pair in options["group_additional_attribute_mapping"]]
        return sorted({name for name in (*names, *more) if name})

    def _search(
        self, connection: Any, base: str, text: str, attributes: list[str], scope: str = ""
    ) -> list[Entry]:
        """All entries, page by page. Raises ValueError when the directory gives only some, or pages without end: who
        asked has long gone away by then, and the thread would go on for ever."""
        scope = scope or {"one": "LEVEL", "sub": "SUBTREE"}[self.plan.options["query_scope"]]
        size = int(self.plan.options["page_size"]) or PAGE
        found: list[Entry] = []
        cookie: Any = None
        end = time.monotonic() + LONG_S
        while time.monotonic() < end:
            connection.search(
                base, text, scope, dereference_aliases="ALWAYS", attributes=attributes, paged_size=size,
                paged_cookie=cookie,
            )
            code = connection.result["result"]
            if code == NO_SUCH_OBJECT:
                return []
            if code != SUCCESS:
                raise ValueError(f"it refuses a search in {base}: {connection.result['description']}")
            found += [entry_of(each) for each in connection.response or () if each["type"] == "searchResEntry"]
            control = (connection.result.get("controls") or {}).get("1.2.840.113556.1.4.319")
            cookie = control["value"]["cookie"] if control else None
            if not cookie:
                return found
        raise ValueError(f"a search in {base} does not end")

    # ---- connections -----------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A bound connection; one that failed is not used again."""
        taken = self._from_pool() or Open(self._bound(), time.monotonic())
        try:
            yield taken.connection
        except BaseException:
            quietly(taken.connection.unbind)
            raise
        if self.plan.options["use_pool"] and len(self._idle) < int(self.plan.options["pool_size"]):
            self._idle.append(taken)
        else:
            quietly(taken.connection.unbind)

    def _from_pool(self) -> Open | None:
        """One that is young enough and still answers."""
        lifetime_s = float(self.plan.options["pool_connection_lifetime"])
        while self._idle:
            try:
                taken = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - taken.since_s < lifetime_s and self._answers(taken.connection):
                return taken
            quietly(taken.connection.unbind)
        return None

    def _answers(self, connection: Any) -> bool:
        from ldap3.core.exceptions import LDAPException

        try:
            connection.search("", "(objectClass=*)", "BASE", attributes=["1.1"])
        except (LDAPException, OSError):
            return False
        return bool(connection.result["result"] == SUCCESS)

    def _bound(self) -> Any:
        connection = self._opened()
        if not connection.bind():
            told = connection.result
            quietly(connection.unbind)
            raise ValueError(f"it refuses the user it is searched as: {told['description']}")
        return connection

    def _opened(self) -> Any:
        """Connected, with TLS where that is asked for, not yet bound. The servers are tried in their order."""
        from ldap3.core.exceptions import LDAPException

        trouble: Exception = ValueError("there is no server")
        for host, port, secure in self.plan.servers:
            try:
                return self._opened_at(host, port, secure)
            except (LDAPException, OSError, ValueError) as error:
                trouble = error
        raise trouble

    def _opened_at(self, host: str, port: int, secure: bool) -> Any:
        import ldap3

        options = self.plan.options
        tls = ldap3.Tls(
            validate=VERIFY[options["tls_req_cert"]], ca_certs_file=options["tls_cacertfile"],
            ca_certs_path=options["tls_cacertdir"],
        )
        server = ldap3.Server(
            host, port=port, use_ssl=secure, tls=tls, get_info=ldap3.NONE, connect_timeout=self._wait_s
        )
        connection = ldap3.Connection(
            server, user=options["user"], password=options["password"], read_only=True, check_names=False,
            authentication=ldap3.SIMPLE if options["user"] else ldap3.ANONYMOUS,
            receive_timeout=math.ceil(self._wait_s), auto_referrals=bool(options["chase_referrals"]), auto_encode=False,
        )
        connection.open(read_server_info=False)
        if options["use_tls"] and not secure and not connection.start_tls(read_server_info=False):
            quietly(connection.unbind)
            raise ValueError("it refuses TLS, and nothing is said to it without")
        return connection


def entry_of(found: dict[str, Any]) -> Entry:
    return found["dn"], {name.lower(): values for name, values in found["raw_attributes"].items()}


def present(found: Iterator[T | None]) -> list[T]:
    return [each for each in found if each is not None]


def quietly(close: Callable[[], object]) -> None:
    """A connection that is given up may be broken in any way."""
    try:
        close()
    except Exception:
        return
