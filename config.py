"""The settings: read once from the environment, checked, and never read again. `.env.example` explains each."""

from __future__ import annotations

import io
import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from config_values import BASE64, connection_string, flag, number, one_of, release, seconds, text, url

_ANY_TENANT: Final = "MultiTenant"
_HOST: Final = r"[\w-]{1,63}(\.[\w-]{1,63})*|(?=(.*:){2})[\dA-Fa-f:.]+(%\w+)?"
_FILE: Final = "(?i)(?!:memory:$|file:|.*(://|key=|signature=)).+"
_CONTAINER_NAME: Final = "(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*"
_KEY_SUFFIX: Final = r"(?!.*\.$)[^\\?/#*=;\"\s\x00-\x1f\x7f-\x9f]{1,100}"


class ConfigError(Exception):
    """Raised when a setting is missing or wrong; its text is one line that names the variable and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the environment decides, secrets not shown in repr. Raises `ConfigError` where it does not fit."""

    host: str = "localhost"
    port: int = 3978
    allow_unauthenticated: bool = False
    max_request_bytes: int = 1_048_576
    log_format: str = "text"
    log_details: bool = False
    app_id: str = ""
    app_password: str = field(default="", repr=False)
    app_type: str = _ANY_TENANT
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
    cosmos_key_suffix: str = ""
    cosmos_compatibility_mode: bool = False
    stock_jsonpickle: int | None = None  # None: the bot reads as 3, the tools refuse what depends on it
    expire_conversation_days: int | None = None  # None: never
    expire_user_days: int | None = None
    expire_private_days: int | None = None
    cosmos_stale_reads: bool = False
    turn_timeout: float = 12.0
    monitor_connection: str = field(default="", repr=False)
    storage_timeout: float = 4.0
    reply_timeout: float = 5.0
    shutdown_timeout: float = 15.0

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Return what `env` describes, an empty variable unset. Raises `ConfigError` for the first that is wrong."""
        given: dict[str, Any] = {}
        for variable, (name, parse) in _VARIABLES.items():
            value = env.get(variable, "").strip()
            try:
                given |= {name: parse(value)} if value else {}
            except ValueError as error:
                # The value itself is not shown: it may be a secret, pasted into the wrong variable.
                raise ConfigError(f"{variable} cannot be used; expected {error}") from None
        return cls(**given)

    @property
    def is_local(self) -> bool:
        """Whether this is a developer's own: no channel of Azure's can reach it, nobody else's machine, no tunnel."""
        return not (self.app_id or self.allow_unauthenticated) and _is_loopback(self.host)

    def __post_init__(self) -> None:
        self._check_identity()
        self._check_host()
        {"blob": self._check_blob, "cosmos": self._check_cosmos}.get(self.state_storage, lambda: None)()

    def _check_identity(self) -> None:
        if not self.app_id:
            typed = self.app_type != _ANY_TENANT
            given = {"Password": self.app_password, "TenantId": self.app_tenant_id, "Type": typed}
            for name in (name for name, value in given.items() if value):
                raise ConfigError(
                    f"MicrosoftApp{name} is set without MicrosoftAppId; set both, or neither for local use"
                )
            return
        if self.app_type != "UserAssignedMSI" and not self.app_password:
            raise ConfigError(f"MicrosoftAppPassword is missing: MicrosoftAppType={self.app_type} needs it")
        if self.app_type != _ANY_TENANT and not self.app_tenant_id:
            raise ConfigError(f"MicrosoftAppTenantId is missing: MicrosoftAppType={self.app_type} needs it")

    def _check_host(self) -> None:
        if not (self.app_id or self.allow_unauthenticated or _is_loopback(self.host)):
            raise ConfigError(
                "HOST would let anyone on the network talk to the bot as anyone: set MicrosoftAppId, "
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
            raise ConfigError("COSMOS_ENDPOINT is missing; expected https://NAME.documents.azure.com")
        if self.cosmos_key_suffix and self.cosmos_compatibility_mode:
            raise ConfigError("COSMOS_COMPATIBILITY_MODE and COSMOS_KEY_SUFFIX do not go together; set one of them")


def environment(path: str = ".env") -> dict[str, str]:
    """Return the process's environment, with what the file at `path` (where there is one) adds to it.

    Raises `ConfigError` where the file cannot be read.
    """
    try:
        text = Path(path).read_text("utf-8-sig")  # Windows editors put a mark in front
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read; expected UTF-8 text: {type(error).__name__}") from error
    for line in parse_stream(io.StringIO(text)):
        if line.error:
            raise ConfigError(f"{path}, line {line.original.line}, cannot be used; expected NAME=value")
    from_file = dotenv_values(stream=io.StringIO(text))
    return {**{name: value for name, value in from_file.items() if value is not None}, **os.environ}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


_COSMOS_NAME: Final = text(r"[^/\\#?=;]{1,255}", "a name of 1 to 255 characters, none of / \\ # ? = ;")
_days: Final = number(1, 24_855, "whole days, 1 to 24855")  # Cosmos DB counts seconds, up to 2^31 - 1
_VARIABLES: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "HOST": ("host", text(_HOST, "a host name or an IP address, without scheme and port")),
    "PORT": ("port", number(0, 65535, "1 to 65535, or 0 for any free port")),
    "ALLOW_UNAUTHENTICATED": ("allow_unauthenticated", flag),
    "MAX_REQUEST_BYTES": ("max_request_bytes", number(1024, 99_999_999, "1024 to 99999999")),
    "LOG_FORMAT": ("log_format", one_of("text", "json")),
    "LOG_DETAILS": ("log_details", flag),
    "MicrosoftAppId": ("app_id", text(r"[\w.-]+", "the application (client) id, a GUID")),
    "MicrosoftAppPassword": ("app_password", str),
    "MicrosoftAppType": ("app_type", one_of(_ANY_TENANT, "SingleTenant", "UserAssignedMSI")),
    "MicrosoftAppTenantId": ("app_tenant_id", text(r"[\w.-]+", "the GUID or domain of a tenant")),
    "STATE_STORAGE": ("state_storage", one_of("sqlite", "memory", "blob", "cosmos")),
    "STORAGE_CREATE": ("storage_create", flag),
    "SQLITE_PATH": ("sqlite_path", text(_FILE, "the path of a file (for memory: STATE_STORAGE=memory)")),
    "BLOB_CONNECTION_STRING": ("blob_connection_string", connection_string),
    "BLOB_ACCOUNT_URL": ("blob_account_url", url),
    "BLOB_CONTAINER": ("blob_container", text(_CONTAINER_NAME, "3 to 63 small letters, digits and single hyphens")),
    "COSMOS_ENDPOINT": ("cosmos_endpoint", url),
    "COSMOS_KEY": ("cosmos_key", text(BASE64, "the account's key, as the portal shows it")),
    "COSMOS_DATABASE": ("cosmos_database", _COSMOS_NAME),
    "COSMOS_CONTAINER": ("cosmos_container", _COSMOS_NAME),
    "COSMOS_KEY_SUFFIX": ("cosmos_key_suffix", text(_KEY_SUFFIX, "1 to 100 characters, none of / \\ # ? * = ;")),
    "COSMOS_COMPATIBILITY_MODE": ("cosmos_compatibility_mode", flag),
    "STOCK_JSONPICKLE": ("stock_jsonpickle", release),
    "EXPIRE_CONVERSATION_DAYS": ("expire_conversation_days", _days),
    "EXPIRE_USER_DAYS": ("expire_user_days", _days),
    "EXPIRE_PRIVATE_DAYS": ("expire_private_days", _days),
    "COSMOS_STALE_READS": ("cosmos_stale_reads", flag),
    "APPLICATIONINSIGHTS_CONNECTION_STRING": (
        "monitor_connection",
        text("InstrumentationKey=.+", "InstrumentationKey=..., as the portal shows it"),
    ),
    "TURN_TIMEOUT": ("turn_timeout", seconds(1, 300)),
    "STORAGE_TIMEOUT": ("storage_timeout", seconds(0.1, 60)),
    "REPLY_TIMEOUT": ("reply_timeout", seconds(0.1, 60)),
    "SHUTDOWN_TIMEOUT": ("shutdown_timeout", seconds(0, 300)),
}
