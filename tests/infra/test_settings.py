"""What the templates tell the container, held against what the bot reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from config import ConfigError, Settings
from tests.infra.conftest import Break
from tests.infra.production import CLIENT_ID, OWN_REGISTRATION, up

READ_BY_OTHERS = {
    "AZURE_CLIENT_ID": "azure-identity: which of the container's identities is meant",
    "OTEL_SERVICE_NAME": "OpenTelemetry: what Application Insights calls it, otherwise unknown_service",
}
NOT_IN_PRODUCTION = {
    "ALLOW_UNAUTHENTICATED": "everyone says who they are",
    "BLOB_CONNECTION_STRING": "a key",
    "COSMOS_COMPATIBILITY_MODE": "of a container that a stock bot used",
    "COSMOS_KEY": "a key",
    "COSMOS_KEY_SUFFIX": "of a container that a stock bot used",
    "COSMOS_STALE_READS": "of one replica",
    "LOG_DETAILS": "for development: it may show what people wrote",
    "LOG_FORMAT": "its default is what a person reads in Log Analytics",
    "MAX_REQUEST_BYTES": "its default is the channels'",
    "MicrosoftAppPassword": "a key; for a registration of one's own only",
    "SQLITE_PATH": "on one machine's disk",
    "STOCK_JSONPICKLE": "of a container that a stock bot used",
    "TURN_TIMEOUT": "its default is the channels'",
    "STORAGE_TIMEOUT": "its default fits into the turn's",
    "REPLY_TIMEOUT": "its default is the channels'",
    "SHUTDOWN_TIMEOUT": "its default fits into the app's grace period",
}
EXPIRY = {"EXPIRE_CONVERSATION_DAYS": "90", "EXPIRE_PRIVATE_DAYS": "60", "EXPIRE_USER_DAYS": "365"}
OF_A_BACKEND = {
    "cosmos": {"COSMOS_ENDPOINT", "COSMOS_DATABASE", "COSMOS_CONTAINER"},
    "blob": {"BLOB_ACCOUNT_URL", "BLOB_CONTAINER"},
}


class Asked(Mapping[str, str]):
    """An environment in which nothing is set, and that remembers what was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def read_by_the_bot() -> set[str]:
    asked = Asked()
    Settings.from_env(asked)
    return asked.names


@pytest.mark.parametrize("backend", OF_A_BACKEND)
@pytest.mark.parametrize("registration", [{}, OWN_REGISTRATION], ids=["identity", "registration"])
def test_every_variable_that_is_set_is_read(backend: str, registration: dict[str, str]) -> None:
    told = up({"STORAGE_BACKEND": backend, **registration}).environment
    assert told.keys() - READ_BY_OTHERS.keys() <= read_by_the_bot()
    assert not READ_BY_OTHERS.keys() & read_by_the_bot()


@pytest.mark.parametrize("backend", OF_A_BACKEND)
def test_every_setting_of_a_production_is_set(backend: str) -> None:
    others = set[str]().union(*(names for name, names in OF_A_BACKEND.items() if name != backend))
    told = up({"STORAGE_BACKEND": backend, **EXPIRY}).environment
    assert told.keys() >= READ_BY_OTHERS.keys()
    assert told.keys() >= read_by_the_bot() - NOT_IN_PRODUCTION.keys() - others


@pytest.mark.parametrize("backend", OF_A_BACKEND)
def test_the_bot_takes_them(backend: str) -> None:
    settings = Settings.from_env(up({"STORAGE_BACKEND": backend}).environment)
    assert (settings.host, settings.state_storage, settings.storage_create) == ("0.0.0.0", backend, False)  # noqa: S104
    assert (settings.app_type, settings.app_id, settings.app_password) == ("UserAssignedMSI", CLIENT_ID, "")


def test_the_bot_takes_a_registration_of_ones_own() -> None:
    settings = Settings.from_env(up(OWN_REGISTRATION).environment)
    assert (settings.app_type, settings.app_password) == ("SingleTenant", OWN_REGISTRATION["BOT_APP_PASSWORD"])


def test_expiry_is_told_as_it_was_asked_for_and_otherwise_not_at_all() -> None:
    assert up(EXPIRY).environment.items() >= EXPIRY.items()
    assert not up({}).environment.keys() & EXPIRY.keys()


BROKEN = {
    "a setting that nobody reads": ("app.bicep", "name: 'HOST'", "name: 'LISTEN'"),
    "a setting less": ("app.bicep", "name: 'STORAGE_CREATE'", "name: 'STORAGE_CREATES'"),
    "a value that is refused": ("app.bicep", "value: '0.0.0.0'", "value: 'http://0.0.0.0'"),
    "nobody's identity": ("app.bicep", "name: 'MicrosoftAppTenantId'", "name: 'MicrosoftAppTenant'"),
}


@pytest.mark.parametrize(("file", "old", "new"), BROKEN.values(), ids=BROKEN.keys())
def test_a_copy_that_tells_the_bot_something_else_is_found(broken: Break, file: str, old: str, new: str) -> None:
    told = up({}, broken(file, old, new)).environment
    try:
        Settings.from_env(told)
    except ConfigError:
        return
    assert told.keys() - READ_BY_OTHERS.keys() - read_by_the_bot()
