"""The settings: read once from the environment, checked, and never read again. `.env.example` explains each."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values

STORAGES: Final = ("sqlite", "memory", "blob", "cosmos")
APP_TYPES: Final = ("MultiTenant", "SingleTenant", "UserAssignedMSI")
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_CONTAINER_NAME: Final = re.compile(r"[a-z0-9](-?[a-z0-9]){2,62}")


class ConfigError(Exception):
    """Raised when a setting is missing or wrong; its text is one line that names the variable and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the environment decides. Secrets are not shown in repr.

    Raises `ConfigError` for settings that do not go together.
    """

    host: str = "localhost"
    port: int = 3978
    allow_unauthenticated: bool = False
    app_id: str = ""
    app_password: str = field(default="", repr=False)
    app_type: str = "MultiTenant"
    app_tenant_id: str = ""
    state_storage: str = "sqlite"
    storage_create: bool | None = None  # None: on this machine's emulators only
    sqlite_path: str = "state.db"
    blob_connection_string: str = field(default="", repr=False)
    blob_account_url: str = ""
    blob_container: str = "bot-state"
    cosmos_endpoint: str = ""
    cosmos_key: str = field(default="", repr=False)
    cosmos_database: str = "bot-state"
    cosmos_container: str = "state"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return the settings that `env` describes; an empty variable counts as unset.

        Raises `ConfigError` for the first variable that is wrong or missing.
        """
        given: dict[str, Any] = {
            name: parse(variable, env[variable].strip())
            for variable, (name, parse) in _VARIABLES.items()
            if env.get(variable, "").strip()
        }
        return cls(**given)

    def __post_init__(self) -> None:
        self._check_identity()
        self._check_host()
        {"blob": self._check_blob, "cosmos": self._check_cosmos}.get(self.state_storage, lambda: None)()

    def _check_identity(self) -> None:
        if not self.app_id:
            for variable, value in (
                ("MicrosoftAppPassword", self.app_password),
                ("MicrosoftAppTenantId", self.app_tenant_id),
            ):
                if value:
                    raise ConfigError(f"{variable} is set without MicrosoftAppId; set both, or neither for local use")
            return
        if self.app_type != "UserAssignedMSI" and not self.app_password:
            raise ConfigError(
                f"MicrosoftAppPassword is missing: MicrosoftAppId with MicrosoftAppType={self.app_type} needs it"
            )
        if self.app_type != "MultiTenant" and not self.app_tenant_id:
            raise ConfigError(f"MicrosoftAppTenantId is missing: MicrosoftAppType={self.app_type} needs it")

    def _check_host(self) -> None:
        if not (self.app_id or self.allow_unauthenticated or _is_loopback(self.host)):
            raise ConfigError(
                f"HOST={self.host} would let anyone on the network talk to the bot as anyone: set MicrosoftAppId, "
                "use HOST=localhost, or say ALLOW_UNAUTHENTICATED=true"
            )

    def _check_blob(self) -> None:
        if bool(self.blob_connection_string) == bool(self.blob_account_url):
            raise ConfigError(
                "STATE_STORAGE=blob needs one of BLOB_CONNECTION_STRING (account key or emulator) and "
                "BLOB_ACCOUNT_URL (Entra identity)"
            )

    def _check_cosmos(self) -> None:
        if not self.cosmos_endpoint:
            raise ConfigError(
                "COSMOS_ENDPOINT is missing: STATE_STORAGE=cosmos needs it, as https://NAME.documents.azure.com"
            )


def environment(path: str = ".env") -> dict[str, str]:
    """Return the process's environment, with what the file at `path` (where there is one) adds to it."""
    from_file = {name: value for name, value in dotenv_values(path).items() if value is not None}
    return {**from_file, **os.environ}


def _text(_variable: str, value: str) -> str:
    return value


def _one_of(*choices: str) -> Callable[[str, str], str]:
    by_name = {choice.lower(): choice for choice in choices}

    def parse(variable: str, value: str) -> str:
        if value.lower() not in by_name:
            raise ConfigError(f"{variable}={value!r} is unknown; expected one of {', '.join(choices)}")
        return by_name[value.lower()]

    return parse


def _flag(variable: str, value: str) -> bool:
    if value.lower() not in _FLAGS:
        raise ConfigError(f"{variable}={value!r} is unknown; expected true or false")
    return _FLAGS[value.lower()]


def _port(variable: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) <= 65535):
        raise ConfigError(f"{variable}={value!r} is not a port; expected 1 to 65535, or 0 for any free one")
    return int(value)


def _sqlite_path(variable: str, value: str) -> str:
    if value == ":memory:" or value.startswith("file:"):
        raise ConfigError(f"{variable}={value!r} is not a file; expected its path (for memory: STATE_STORAGE=memory)")
    return value


def _url(variable: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{variable}={value!r} is not a URL; expected https://HOST or https://HOST:PORT")
    return value


def _connection_string(variable: str, value: str) -> str:
    # Never shown: it holds the account's key.
    names = {part.partition("=")[0].strip().lower() for part in value.split(";")}
    if not names & {"accountname", "blobendpoint", "usedevelopmentstorage"}:
        raise ConfigError(f"{variable} is not a connection string; expected AccountName=...;AccountKey=...;...")
    return value


def _container_name(variable: str, value: str) -> str:
    if not _CONTAINER_NAME.fullmatch(value):
        raise ConfigError(
            f"{variable}={value!r} is not a container name; expected 3 to 63 small letters, digits and single hyphens"
        )
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


_VARIABLES: Final[Mapping[str, tuple[str, Callable[[str, str], object]]]] = {
    "HOST": ("host", _text),
    "PORT": ("port", _port),
    "ALLOW_UNAUTHENTICATED": ("allow_unauthenticated", _flag),
    "MicrosoftAppId": ("app_id", _text),
    "MicrosoftAppPassword": ("app_password", _text),
    "MicrosoftAppType": ("app_type", _one_of(*APP_TYPES)),
    "MicrosoftAppTenantId": ("app_tenant_id", _text),
    "STATE_STORAGE": ("state_storage", _one_of(*STORAGES)),
    "STORAGE_CREATE": ("storage_create", _flag),
    "SQLITE_PATH": ("sqlite_path", _sqlite_path),
    "BLOB_CONNECTION_STRING": ("blob_connection_string", _connection_string),
    "BLOB_ACCOUNT_URL": ("blob_account_url", _url),
    "BLOB_CONTAINER": ("blob_container", _container_name),
    "COSMOS_ENDPOINT": ("cosmos_endpoint", _url),
    "COSMOS_KEY": ("cosmos_key", _text),
    "COSMOS_DATABASE": ("cosmos_database", _text),
    "COSMOS_CONTAINER": ("cosmos_container", _text),
}
