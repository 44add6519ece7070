# SPDX-License-Identifier: Apache-2.0
"""Where the settings of a cloud come from: the environment, its skyhold.toml, else their defaults.

Which there are, sections.py says. A value comes from `SKYHOLD_<SECTION>_<KEY>`, else from $SKYHOLD_HOME/skyhold.toml,
and a name nobody knows is an error, never ignored.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from skyhold.core.settings.describe import describe, plain
from skyhold.core.settings.sections import DEFAULT_QUOTAS, SECTIONS, TOP_LEVEL
from skyhold.core.settings.whole import Settings, SettingsError

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
    if get_origin(plain(hint)) is list:
        value = parts
    elif get_origin(plain(hint)) is dict:
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
    if len(os.fsencode(settings.home)) > room:
        raise SettingsError(
            f"{settings.home} is too long for a state directory: its bus socket leaves {room} bytes "
            "for it; choose a shorter SKYHOLD_HOME."
        )
