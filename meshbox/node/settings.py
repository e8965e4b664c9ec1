"""The settings in force, and where each came from: TOML file < environment < options.

The later source wins, for each setting as a whole: a list given as an option replaces that of the
file. An empty environment variable counts as unset, as compose files leave them so.

Knows which settings there are only from `setting_table`. Every fault is an `InvalidSetting` whose
message begins with the place of the fault: an option, a variable, or a file and its key.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from meshbox.core.address import Endpoint, PeerAddress
from meshbox.core.errors import CallerError, InvalidSetting
from meshbox.core.ids import Topic
from meshbox.core.internet import InternetAddress
from meshbox.core.limits import CARRIED_TOPICS_MAX, WAYS_OUT_MAX
from meshbox.core.reachability import Network
from meshbox.node.setting_table import (
    ENVIRONMENT_PREFIX,
    SETTINGS,
    Setting,
    default_data_dir,
)
from meshbox.node.setting_values import parse_path
from meshbox.storage.cassandra.address import ClusterAddress

CONFIG_VARIABLE: Final = "MESHBOX_CONFIG"

_OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "MESHBOX_TRACEBACK"})
_TEST_PREFIX: Final = "MESHBOX_TEST_"

Raw = str | Sequence[str]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may decide; see `setting_table` for what each means."""

    data_dir: Path
    http: Endpoint | None
    https: Endpoint | None
    https_certificate: Path | None
    https_key: Path | None
    trusted_proxy: tuple[Network, ...]
    drain: int
    """Milliseconds."""
    sync: Endpoint | None
    admin: Endpoint | None
    interface: tuple[str, ...]
    mdns: bool
    mesh: str
    advertise: Endpoint | None
    peer: tuple[PeerAddress, ...]
    introduce: bool
    internet: tuple[InternetAddress, ...]
    topic: tuple[Topic, ...]
    sync_rate_in: int | None
    """Bytes a second."""
    sync_rate_out: int | None
    """Bytes a second."""
    store: ClusterAddress | None
    """None: the RocksDB in `data_dir`."""
    cassandra_datacenter: str
    cassandra_replication: dict[str, int]
    cassandra_user: str | None
    cassandra_password_file: Path | None
    cassandra_ca: Path | None
    cassandra_trust_clock: bool
    retention: int
    """Milliseconds."""
    storage_limit: int | None
    """Bytes."""
    ids: str
    generations: tuple[str, ...]
    log_format: str


class Origin(NamedTuple):
    """Where a value came from."""

    source: str
    """default, file, environment or option."""
    place: str
    """The file, variable or option; "" for a default."""


class Resolved(NamedTuple):
    """The settings in force."""

    settings: Settings
    origins: Mapping[str, Origin]
    """By key."""
    unknown_variables: tuple[str, ...]
    """Variables that look like settings and are none. Not refused: an orchestrator may set them."""


class _Found(NamedTuple):
    origin: Origin
    raw: Raw
    label: str
    """How the fault of this value is called."""


def resolve(
    *, options: Mapping[str, Raw | None], environment: Mapping[str, str], config: str | None = None
) -> Resolved:
    """The settings in force from the three sources; `InvalidSetting`.

    `options` are texts by key, None where not given. `config` is the path of the TOML file, by
    default MESHBOX_CONFIG; without both there is none.
    """
    file = _find_config(config, environment)
    found = _defaults(environment)
    found |= _from_file(*file) if file else {}
    found |= _from_environment(environment)
    found |= _from_options(options)
    values = {setting.key: _parsed(setting, found[setting.key]) for setting in SETTINGS}
    settings = Settings(**values)
    _check_together(settings, found)
    origins = {key: value.origin for key, value in found.items()}
    return Resolved(settings, origins, _unknown_variables(environment))


def locate_data_dir(option: str | None, environment: Mapping[str, str]) -> Path:
    """The data folder alone, for commands about a running node. Other settings are not read."""
    setting = next(s for s in SETTINGS if s.key == "data_dir")
    file = _find_config(None, environment)
    found = _defaults(environment)
    found |= _from_file(*file) if file else {}
    found |= _from_environment(environment)
    found |= _from_options({"data_dir": option})
    path: Path = _parsed(setting, found["data_dir"])
    return path


def _find_config(config: str | None, environment: Mapping[str, str]) -> tuple[Path, str] | None:
    """The file, and by what it was named."""
    text, named_by = (
        (config, "--config") if config else (environment.get(CONFIG_VARIABLE), CONFIG_VARIABLE)
    )
    if not text:
        return None
    try:
        return parse_path(text), named_by
    except InvalidSetting as error:
        raise InvalidSetting(f"{named_by}: {error.message}") from error


def _defaults(environment: Mapping[str, str]) -> dict[str, _Found]:
    origin = Origin("default", "")
    defaults = {s.key: s.default for s in SETTINGS} | {"data_dir": default_data_dir(environment)}
    return {key: _Found(origin, text, f"default of {key}") for key, text in defaults.items()}


def _from_file(path: Path, named_by: str) -> dict[str, _Found]:
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise InvalidSetting(f"{named_by}: cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path} is not TOML: {error}") from error
    known = [setting.key for setting in SETTINGS]
    for key in table:
        if key not in known:
            raise InvalidSetting(f"{path}: unknown key {key!r}", hint=_suggestion(key, known))
    return {
        key: _Found(Origin("file", str(path)), _raw(path, key, value), f"{path}: {key}")
        for key, value in table.items()
    }


def _raw(path: Path, key: str, value: object) -> Raw:
    """A TOML value as the text, or texts, that an option would have."""
    match value:
        case bool():
            return "on" if value else "off"
        case str():
            return value
        case int():
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return [str(item) for item in value]
        case _:
            raise InvalidSetting(f"{path}: {key}: a text or a list of texts is wanted")


def _from_environment(environment: Mapping[str, str]) -> dict[str, _Found]:
    return {
        s.key: _Found(Origin("environment", s.variable), environment[s.variable], s.variable)
        for s in SETTINGS
        if environment.get(s.variable)
    }


def _from_options(options: Mapping[str, Raw | None]) -> dict[str, _Found]:
    names = {setting.key: setting.option for setting in SETTINGS}
    return {
        key: _Found(Origin("option", names[key]), raw, names[key])
        for key, raw in options.items()
        if raw is not None
    }


def _parsed(setting: Setting, found: _Found) -> Any:
    try:
        if setting.separator is None:
            return setting.parse(_only(found.raw))
        return tuple(dict.fromkeys(map(setting.parse, _split(setting.separator, found.raw))))
    except CallerError as error:
        raise InvalidSetting(f"{found.label}: {error.message}", hint=error.hint) from error


def _only(raw: Raw) -> str:
    if not isinstance(raw, str):
        raise InvalidSetting("one value is wanted, not a list")
    return raw


def _split(separator: str, raw: Raw) -> list[str]:
    if not isinstance(raw, str):
        return list(raw)
    return [part.strip() for part in raw.split(separator) if part.strip()]


def _check_together(settings: Settings, found: Mapping[str, _Found]) -> None:
    if not settings.generations:
        raise InvalidSetting(f"{found['generations'].label}: at least one is wanted")
    if len(settings.topic) > CARRIED_TOPICS_MAX:
        raise InvalidSetting(f"{found['topic'].label}: at most {CARRIED_TOPICS_MAX} are wanted")
    if (settings.https_certificate is None) is not (settings.https_key is None):
        given = "https_key" if settings.https_certificate is None else "https_certificate"
        raise InvalidSetting(f"{found[given].label}: https_certificate and https_key go together")
    if settings.store is not None and settings.storage_limit is not None:
        label = found["storage_limit"].label
        raise InvalidSetting(
            f"{label}: a Cassandra has no limit here", hint="give it more servers when it gets full"
        )
    if (settings.cassandra_user is None) is not (settings.cassandra_password_file is None):
        given = "password_file" if settings.cassandra_user is None else "user"
        label = found[f"cassandra_{given}"].label
        raise InvalidSetting(f"{label}: cassandra_user and cassandra_password_file go together")
    if len(settings.internet) > WAYS_OUT_MAX:
        raise InvalidSetting(f"{found['internet'].label}: at most {WAYS_OUT_MAX} are wanted")
    if settings.advertise is not None and settings.http is None:
        label = found["advertise"].label
        raise InvalidSetting(f"{label}: there is nothing to announce while http is off")
    if settings.advertise is not None and settings.mdns:
        from meshbox.discovery.announcement import Announcement

        try:
            Announcement(http_advertised=settings.advertise)
        except InvalidSetting as error:
            label = found["advertise"].label
            raise InvalidSetting(f"{label}: {error.message}", hint=error.hint) from error


def _unknown_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    known = _OTHER_VARIABLES | {setting.variable for setting in SETTINGS}
    return tuple(
        name
        for name in sorted(environment)
        if name.startswith(ENVIRONMENT_PREFIX)
        and not name.startswith(_TEST_PREFIX)
        and name not in known
    )


def _suggestion(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
