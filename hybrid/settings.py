"""What a user may configure: inert, frozen, validated values. Secrets are masked in every `repr` and message.

Precedence: explicit argument > live configuration > environment > `.env` file > default. The live configuration is
common to all processes, see `hybrid.core.live`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from hybrid.core.address import Kind, address_of
from hybrid.core.schedule import parse_schedule
from hybrid.errors import ConfigurationError
from hybrid.types import Ack, ReadPreference, Source

__all__ = ["LIVE", "LOG_LEVELS", "Ack", "ReadPreference", "Settings", "masked_url", "setting_text", "variable_of"]

LOG_LEVELS = ("debug", "info", "warning", "error")


def masked_url(url: str | None) -> str | None:
    """`url` without its credentials and options: fit for a log, a page or an error."""
    if not url:
        return None
    scheme, mark, rest = url.partition("://")
    address = rest.partition("?")[0]
    # From the last @ on, whatever stands before: a password with an unescaped / or @ must not show either.
    login, at, host = address.rpartition("@")
    return f"{scheme}{mark}{'***' if login else ''}{at}{host}"


def _boolean(name: str, text: str) -> bool:
    value = text.strip().lower()
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("false", "0", "no", "off"):
        return False
    raise ConfigurationError(f"{name} must be true or false, not {text!r}")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{name} must be a number of seconds, not {text!r}") from None


def _amount(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{name} must be an amount of US dollars, such as 0.20, not {text!r}") from None


def _text(name: str, text: str) -> str:
    return text.strip()


def _urls(name: str, text: str) -> tuple[str, ...]:
    """A comma may also stand within a URL, between the addresses of an e-mail: only one before a scheme separates."""
    return tuple(part for part in re.split(r"\s+|,+\s*(?=[a-z][\w+.-]*://|$)", text.strip()) if part)


def _setting(
    variable: str, parse: Callable[[str, str], Any], default: Any, *, secret: bool = False, live: bool = False
) -> Any:
    return field(default=default, metadata={"variable": variable, "parse": parse, "secret": secret, "live": live})


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The effective configuration of one client. Times are in seconds.

    Raises:
        ConfigurationError: a value is malformed; the message names the setting and what to write instead.
    """

    local_url: str | None = _setting("REDIS_URL", _text, None, secret=True)
    cloud_url: str | None = _setting("UPSTASH_REDIS_URL", _text, None, secret=True)
    write_both: bool = _setting("REDIS_WRITE_BOTH", _boolean, True, live=True)
    ack: Ack = _setting("REDIS_WRITE_ACK", _text, Ack.BOTH, live=True)
    read_preference: ReadPreference = _setting("REDIS_READ_PREFERENCE", _text, ReadPreference.LOCAL, live=True)
    sync_enabled: bool = _setting("REDIS_SYNC_ENABLED", _boolean, True, live=True)
    sync_interval_s: float = _setting("REDIS_SYNC_INTERVAL", _number, 300.0, live=True)
    local_timeout_s: float = _setting("REDIS_LOCAL_TIMEOUT", _number, 0.08, live=True)
    cloud_timeout_s: float = _setting("REDIS_CLOUD_TIMEOUT", _number, 0.2, live=True)
    lag_threshold_s: float = _setting("HYBRID_LAG_THRESHOLD", _number, 30.0, live=True)
    cloud_price: float = _setting("HYBRID_CLOUD_PRICE", _amount, 0.20, live=True)
    cloud_budget: float | None = _setting("HYBRID_CLOUD_BUDGET", _amount, None, live=True)
    drill_schedule: str | None = _setting("HYBRID_DRILLS", _text, None, live=True)
    log_level: str | None = _setting("HYBRID_LOG_LEVEL", _text, None, live=True)
    name: str | None = _setting("HYBRID_NAME", _text, None)
    alert_urls: tuple[str, ...] = _setting("HYBRID_ALERT_URLS", _urls, (), secret=True)

    def __post_init__(self) -> None:
        for name, choices in (("ack", Ack), ("read_preference", ReadPreference)):
            object.__setattr__(self, name, _choice(name, getattr(self, name), choices))
        for name in ("write_both", "sync_enabled"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{_variable(name)} must be True or False, not {getattr(self, name)!r}")
        for name in ("sync_interval_s", "local_timeout_s", "cloud_timeout_s", "lag_threshold_s"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
                raise ConfigurationError(f"{_variable(name)} must be a positive number of seconds, not {value!r}")
        for name in ("cloud_price", "cloud_budget"):
            value = getattr(self, name)
            if value is None and name == "cloud_budget":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise ConfigurationError(f"{_variable(name)} must be an amount of US dollars, not {value!r}")
        if self.drill_schedule is not None:
            object.__setattr__(self, "drill_schedule", _schedule(self.drill_schedule))
        if self.log_level is not None:
            object.__setattr__(self, "log_level", _log_level(self.log_level))
        if self.name is not None and not isinstance(self.name, str):
            raise ConfigurationError(f"{_variable('name')} must be text, not {self.name!r}")
        for name in ("local_url", "cloud_url"):
            object.__setattr__(self, name, _checked_url(name, getattr(self, name)))
        if self.local_url and self.local_url == self.cloud_url:
            raise ConfigurationError(
                "REDIS_URL and UPSTASH_REDIS_URL name the same store; give two independent ones, or only one"
            )

    @property
    def replicated(self) -> bool:
        """Whether writes are meant to reach two stores."""
        return self.write_both and self.cloud_url is not None

    @property
    def cloud_leads(self) -> bool:
        """Whether the cloud store takes the writes when the local one is lost. A cluster cannot: a write and its log
        entry would have to be one transaction, and their keys are in different slots."""
        return self.cloud_url is None or address_of(self.cloud_url).kind is not Kind.CLUSTER

    def with_changes(self, **changes: Any) -> Settings:
        """A copy with some settings changed. Raises ConfigurationError as the constructor does."""
        _refuse_unknown(changes)
        return replace(self, **changes)

    def masked(self) -> dict[str, Any]:
        """Every setting by name, fit to be shown: credentials replaced by `***`."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        shown["local_url"], shown["cloud_url"] = masked_url(self.local_url), masked_url(self.cloud_url)
        shown["alert_urls"] = tuple(f"{urlsplit(url).scheme}://***" for url in self.alert_urls)
        return shown

    def __repr__(self) -> str:
        return "Settings(" + ", ".join(f"{name}={value!r}" for name, value in self.masked().items()) + ")"

    @classmethod
    def from_env(
        cls, env_file: str | os.PathLike[str] | None = ".env", environ: Mapping[str, str] | None = None, **explicit: Any
    ) -> Settings:
        """Settings from explicit arguments, the environment and a `.env` file, in this order of precedence.

        A missing `env_file` is no error (the environment may hold everything); a malformed one is.
        """
        return cls.from_env_with_sources(env_file, environ, **explicit)[0]

    @classmethod
    def from_env_with_sources(
        cls, env_file: str | os.PathLike[str] | None = ".env", environ: Mapping[str, str] | None = None, **explicit: Any
    ) -> tuple[Settings, dict[str, Source]]:
        """As `from_env`, with where each value comes from."""
        _refuse_unknown(explicit)
        environ = os.environ if environ is None else environ
        written = {**_env_file_values(env_file), **environ}
        values: dict[str, Any] = {}
        sources = {f.name: Source.DEFAULT for f in fields(cls)}
        for f in fields(cls):
            variable = f.metadata["variable"]
            text = written.get(variable)
            if text is not None and text.strip():
                values[f.name] = f.metadata["parse"](variable, text)
                sources[f.name] = Source.ENVIRONMENT if variable in environ else Source.ENV_FILE
        sources |= dict.fromkeys(explicit, Source.ARGUMENT)
        return cls(**{**values, **explicit}), sources

    def stated(self) -> dict[str, Source]:
        """The sources of settings made in code: what is not the default was said on purpose."""
        return {
            f.name: Source.DEFAULT if getattr(self, f.name) == f.default else Source.ARGUMENT for f in fields(Settings)
        }


LIVE: tuple[str, ...] = tuple(f.name for f in fields(Settings) if f.metadata["live"])
"""Settings that the live configuration may hold: the same for every process, changed while they run."""


def variable_of(name: str) -> str:
    """The environment variable of a setting. Raises ConfigurationError."""
    _refuse_unknown({name: None})
    return str({f.name: f.metadata["variable"] for f in fields(Settings)}[name])


def setting_text(value: Any) -> str:
    """A value as it is written in `.env`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _variable(name: str) -> str:
    return f"{variable_of(name)} ({name})"


def _log_level(value: Any) -> str:
    level = str(value).strip().lower()
    if level not in LOG_LEVELS:
        raise ConfigurationError(f"{_variable('log_level')} must be one of {', '.join(LOG_LEVELS)}, not {value!r}")
    return level


def _schedule(value: Any) -> str | None:
    try:
        return str(value).strip() if parse_schedule(str(value)) else None
    except ValueError as error:
        raise ConfigurationError(f"{_variable('drill_schedule')}: {error}") from None


def _refuse_unknown(names: Mapping[str, Any]) -> None:
    known = [f.name for f in fields(Settings)]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"unknown setting {name!r}; known settings: {', '.join(known)}")


def _choice(name: str, value: Any, choices: type[StrEnum]) -> StrEnum:
    try:
        return choices(str(value).strip().lower())
    except ValueError:
        allowed = " or ".join(repr(choice.value) for choice in choices)
        raise ConfigurationError(f"{_variable(name)} must be {allowed}, not {value!r}") from None


def _checked_url(name: str, url: Any) -> str | None:
    if url is None or url == "":
        return None
    variable = _variable(name)
    example = "redis://localhost:6379" if name == "local_url" else "rediss://default:PASSWORD@HOST:6379"
    if not isinstance(url, str):
        raise ConfigurationError(f"{variable} must be a URL such as {example}, not a {type(url).__name__}")
    try:
        kind = address_of(url).kind
    except ValueError as error:
        raise ConfigurationError(f"{variable} {error}; write it as {example}") from None
    if kind is Kind.CLUSTER and name == "local_url":
        raise ConfigurationError(
            f"{variable} must not be a cluster, which cannot write a key and log it in one transaction; "
            "use it as the cloud store"
        )
    return url


def _env_file_values(env_file: str | os.PathLike[str] | None) -> dict[str, str]:
    if env_file is None or not Path(env_file).is_file():
        return {}
    path = Path(env_file)
    try:
        with path.open(encoding="utf-8") as stream:
            for binding in parse_stream(stream):
                if binding.error:
                    raise ConfigurationError(f"{path}, line {binding.original.line}: write it as NAME=value")
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {type(error).__name__}") from None
