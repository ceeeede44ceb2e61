"""The settings: what each variable may be, and that no error and no repr gives a secret away."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from config import _VARIABLES, ConfigError, Settings, environment
from config_values import DEVELOPMENT_STORAGE

ROOT = Path(__file__).parents[2]
SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"  # Base64, as account keys are
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=ada;AccountKey={SECRET};EndpointSuffix=core.windows.net"
IDENTITY = {"MicrosoftAppId": "4d0f2c1e-0000-0000-0000-000000000001", "MicrosoftAppPassword": "ab~secret"}
TENANT = {"MicrosoftAppTenantId": "contoso.onmicrosoft.com"}
BLOB = {"STATE_STORAGE": "blob", "BLOB_CONNECTION_STRING": CONNECTION}
COSMOS = {"STATE_STORAGE": "cosmos", "COSMOS_ENDPOINT": "https://ada.documents.azure.com:443/", "COSMOS_KEY": SECRET}


def settings(**env: str) -> Settings:
    return Settings.from_env(env)


def refusal(env: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env(env)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_any_variable_the_bot_is_local_and_keeps_state_in_a_file() -> None:
    assert settings() == Settings(host="localhost", port=3978, state_storage="sqlite", sqlite_path="state.db")


@pytest.mark.parametrize("empty", ["", "  ", "\t"])
def test_an_empty_variable_counts_as_unset(empty: str) -> None:
    assert Settings.from_env(dict.fromkeys(_VARIABLES, empty)) == Settings()


VALID: list[tuple[dict[str, str], str, Any]] = [
    ({"HOST": " 127.0.0.1 "}, "host", "127.0.0.1"),
    ({"PORT": "0"}, "port", 0),
    ({"PORT": "65535"}, "port", 65535),
    ({"ALLOW_UNAUTHENTICATED": "TRUE"}, "allow_unauthenticated", True),
    ({"ALLOW_UNAUTHENTICATED": "no"}, "allow_unauthenticated", False),
    ({"MAX_REQUEST_BYTES": "1024"}, "max_request_bytes", 1024),
    ({"LOG_FORMAT": "JSON"}, "log_format", "json"),
    ({"LOG_DETAILS": "true"}, "log_details", True),
    (IDENTITY, "app_id", IDENTITY["MicrosoftAppId"]),
    (IDENTITY, "app_password", IDENTITY["MicrosoftAppPassword"]),
    ({**IDENTITY, **TENANT, "MicrosoftAppType": "singletenant"}, "app_type", "SingleTenant"),
    ({**IDENTITY, **TENANT}, "app_tenant_id", "contoso.onmicrosoft.com"),
    ({"STATE_STORAGE": "Memory"}, "state_storage", "memory"),
    ({"STORAGE_CREATE": "1"}, "storage_create", True),
    ({"STORAGE_CREATE": "0"}, "storage_create", False),
    ({"SQLITE_PATH": "data/state of bot=1.db"}, "sqlite_path", "data/state of bot=1.db"),
    (BLOB, "blob_connection_string", CONNECTION),
    ({**BLOB, "BLOB_CONNECTION_STRING": "UseDevelopmentStorage=true;"}, "blob_connection_string", DEVELOPMENT_STORAGE),
    ({"BLOB_ACCOUNT_URL": "http://[::1]:10000/devstoreaccount1"}, "blob_account_url", None),
    ({"BLOB_CONTAINER": "a-1"}, "blob_container", "a-1"),
    ({"BLOB_CONTAINER": "a" * 63}, "blob_container", "a" * 63),
    (COSMOS, "cosmos_endpoint", COSMOS["COSMOS_ENDPOINT"]),
    (COSMOS, "cosmos_key", SECRET),
    ({"COSMOS_KEY": "c2VjcmV0cw=="}, "cosmos_key", "c2VjcmV0cw=="),
    ({"COSMOS_DATABASE": "Zustände"}, "cosmos_database", "Zustände"),
    ({"COSMOS_CONTAINER": "x" * 255}, "cosmos_container", "x" * 255),
    ({"COSMOS_KEY_SUFFIX": "-bot.2"}, "cosmos_key_suffix", "-bot.2"),
    ({"COSMOS_COMPATIBILITY_MODE": "true"}, "cosmos_compatibility_mode", True),
    ({"STOCK_JSONPICKLE": "1"}, "stock_jsonpickle", 1),
    ({"EXPIRE_CONVERSATION_DAYS": "1"}, "expire_conversation_days", 1),
    ({"EXPIRE_USER_DAYS": "24855"}, "expire_user_days", 24_855),
    ({"EXPIRE_PRIVATE_DAYS": "30"}, "expire_private_days", 30),
    ({"COSMOS_STALE_READS": "yes"}, "cosmos_stale_reads", True),
    ({"TURN_TIMEOUT": "30"}, "turn_timeout", 30.0),
    ({"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=1"}, "monitor_connection", "InstrumentationKey=1"),
    ({"TURN_TIMEOUT": "1.5"}, "turn_timeout", 1.5),
    ({"STORAGE_TIMEOUT": "0.5"}, "storage_timeout", 0.5),
    ({"REPLY_TIMEOUT": "60"}, "reply_timeout", 60.0),
    ({"SHUTDOWN_TIMEOUT": "0"}, "shutdown_timeout", 0.0),
]


@pytest.mark.parametrize(("env", "name", "value"), VALID)
def test_each_variable_sets_its_field(env: dict[str, str], name: str, value: Any) -> None:
    expected = env["BLOB_ACCOUNT_URL"] if value is None else value
    assert getattr(Settings.from_env(env), name) == expected


def test_every_variable_and_every_field_is_among_those_checked_here() -> None:
    assert {name for name, _ in _VARIABLES.values()} == {field.name for field in dataclasses.fields(Settings)}
    assert {name for _, name, _ in VALID} == {field.name for field in dataclasses.fields(Settings)}


INVALID = [
    ("HOST", "http://localhost", "a host name or an IP address"),
    ("HOST", "localhost:3978", "without scheme and port"),
    ("HOST", "[::1]", "an IP address"),
    ("HOST", "a..b", "a host name"),
    ("HOST", "x" * 64, "a host name"),
    ("PORT", "http", "1 to 65535"),
    ("PORT", "65536", "1 to 65535"),
    ("PORT", "-1", "0 for any free port"),
    ("PORT", "٣٩٧٨", "1 to 65535"),
    ("PORT", "9" * 5000, "1 to 65535"),
    ("ALLOW_UNAUTHENTICATED", "maybe", "true, false"),
    ("MAX_REQUEST_BYTES", "1023", "1024 to 99999999"),
    ("MAX_REQUEST_BYTES", "1e6", "1024 to 99999999"),
    ("LOG_FORMAT", "xml", "text, json"),
    ("LOG_DETAILS", "all", "true, false"),
    ("MicrosoftAppId", "ab~secret", "a GUID"),
    ("MicrosoftAppType", "multi", "MultiTenant, SingleTenant, UserAssignedMSI"),
    ("MicrosoftAppTenantId", "https://login.microsoftonline.com/x", "the GUID or domain of a tenant"),
    ("STATE_STORAGE", "redis", "sqlite, memory, blob, cosmos"),
    ("STORAGE_CREATE", "2", "true, false"),
    ("SQLITE_PATH", ":memory:", "STATE_STORAGE=memory"),
    ("SQLITE_PATH", "file:state.db?mode=memory", "the path of a file"),
    ("SQLITE_PATH", "sqlite:///state.db", "the path of a file"),
    ("BLOB_CONNECTION_STRING", "ada", "AccountName=...;AccountKey=..."),
    ("BLOB_CONNECTION_STRING", "AccountName=ada", "AccountKey=..."),
    ("BLOB_ACCOUNT_URL", "ada.blob.core.windows.net", "https://HOST"),
    ("BLOB_ACCOUNT_URL", "ftp://ada", "https://HOST"),
    ("BLOB_ACCOUNT_URL", "https://", "https://HOST"),
    ("BLOB_CONTAINER", "ab", "3 to 63"),
    ("COSMOS_KEY_SUFFIX", "a/b", "none of / "),
    ("COSMOS_KEY_SUFFIX", "a.", "1 to 100 characters"),
    ("COSMOS_KEY_SUFFIX", "x" * 101, "1 to 100 characters"),
    ("EXPIRE_CONVERSATION_DAYS", "0", "whole days, 1 to 24855"),
    ("EXPIRE_USER_DAYS", "24856", "whole days"),
    ("EXPIRE_PRIVATE_DAYS", "1.5", "whole days"),
    ("EXPIRE_PRIVATE_DAYS", "-1", "whole days"),
    ("BLOB_CONTAINER", "a" * 64, "3 to 63"),
    ("BLOB_CONTAINER", "Bot-State", "small letters"),
    ("BLOB_CONTAINER", "bot--state", "single hyphens"),
    ("COSMOS_ENDPOINT", "https://ada:port", "https://HOST:PORT"),
    ("COSMOS_ENDPOINT", "https://ada:70000", "https://HOST:PORT"),
    ("COSMOS_ENDPOINT", "https://[::1", "https://HOST:PORT"),
    ("COSMOS_KEY", "not Base64!", "the account's key"),
    ("COSMOS_DATABASE", "a/b", "1 to 255 characters"),
    ("COSMOS_CONTAINER", "x" * 256, "1 to 255 characters"),
    ("TURN_TIMEOUT", "0", "seconds, 1 to 300"),
    ("APPLICATIONINSIGHTS_CONNECTION_STRING", "1234", "InstrumentationKey="),
    ("TURN_TIMEOUT", "300.5", "seconds, 1 to 300"),
    ("TURN_TIMEOUT", "nan", "seconds, 1 to 300"),
    ("STORAGE_TIMEOUT", "0", "seconds, 0.1 to 60"),
    ("REPLY_TIMEOUT", "0", "seconds, 0.1 to 60"),
    ("SHUTDOWN_TIMEOUT", "301", "seconds, 0 to 300"),
]


@pytest.mark.parametrize(("variable", "value", "expected"), INVALID)
def test_a_wrong_value_is_refused_with_the_variable_and_what_it_may_be(
    variable: str, value: str, expected: str
) -> None:
    message = refusal({variable: value})
    assert message.startswith(f"{variable} ")
    assert expected in message


PASTED = {
    "a storage connection string": CONNECTION,
    "a Cosmos connection string": f"AccountEndpoint=https://ada.documents.azure.com:443/;AccountKey={SECRET};",
    "a connection string with a signature": f"BlobEndpoint=https://ada;SharedAccessSignature=sv=2024&sig={SECRET}",
    "a signed URL": f"https://ada.blob.core.windows.net/?sv=2024-11-04&ss=b&sig={SECRET}",
    "a signed URL of a container": f"https://ada.blob.core.windows.net/bot-state?sig={SECRET}",
    "a URL with a password": f"https://ada:{SECRET}@ada.documents.azure.com",
    "a URL with a user": f"https://{SECRET}@ada.documents.azure.com",
    "a URL with a fragment": f"https://ada.documents.azure.com/#{SECRET}",
    "a database URL": f"postgres://ada:{SECRET}@db/state",
    "a variable with its name": f"COSMOS_KEY={SECRET}",
    "a key with its padding": f"{SECRET}+/==",
    "a quoted key": f'"{SECRET}"',
}
SECRETS = {"MicrosoftAppPassword", "BLOB_CONNECTION_STRING", "COSMOS_KEY"}


@pytest.mark.parametrize("kind", PASTED)
@pytest.mark.parametrize("variable", _VARIABLES)
def test_a_secret_in_any_variable_is_shown_neither_by_an_error_nor_by_repr(variable: str, kind: str) -> None:
    env = {**IDENTITY, **TENANT, "STATE_STORAGE": "memory", variable: PASTED[kind]}
    try:
        shown = repr(Settings.from_env(env))
    except ConfigError as error:
        shown = str(error)
        assert variable in shown
    else:
        is_plain = variable in {"SQLITE_PATH", "COSMOS_DATABASE", "COSMOS_CONTAINER"} and "key" in kind.split()
        assert variable in SECRETS or is_plain, "a pasted secret was taken for a value"
        if is_plain:
            return
    assert SECRET not in shown


@given(st.sampled_from(sorted(SECRETS)), st.text(min_size=5).filter(lambda text: text.strip() == text))
def test_no_secret_however_malformed_is_shown(variable: str, value: str) -> None:
    env = {**IDENTITY, variable: f"~{value}~"}
    try:
        shown = repr(Settings.from_env(env))
    except ConfigError as error:
        shown = str(error)
    assert f"~{value}~" not in shown


@given(st.dictionaries(st.sampled_from(sorted(_VARIABLES)), st.text(max_size=80), max_size=5))
def test_any_environment_gives_settings_or_one_line_that_names_a_variable(env: dict[str, str]) -> None:
    message = ""
    try:
        Settings.from_env(env)
    except ConfigError as error:
        message = str(error)
    assert not message or any(variable in message for variable in _VARIABLES)
    assert "\n" not in message


HALF = [
    ({"MicrosoftAppPassword": "ab~secret"}, "MicrosoftAppPassword is set without MicrosoftAppId"),
    (TENANT, "MicrosoftAppTenantId is set without MicrosoftAppId"),
    ({"MicrosoftAppId": "x"}, "MicrosoftAppPassword is missing"),
    ({"MicrosoftAppId": "x", **TENANT, "MicrosoftAppType": "SingleTenant"}, "MicrosoftAppPassword is missing"),
    ({**IDENTITY, "MicrosoftAppType": "SingleTenant"}, "MicrosoftAppTenantId is missing"),
    ({"MicrosoftAppId": "x", "MicrosoftAppType": "UserAssignedMSI"}, "MicrosoftAppTenantId is missing"),
    ({"STATE_STORAGE": "blob"}, "BLOB_CONNECTION_STRING"),
    ({"STATE_STORAGE": "blob"}, "BLOB_ACCOUNT_URL"),
    ({**BLOB, "BLOB_ACCOUNT_URL": "https://ada.blob.core.windows.net"}, "needs one of"),
    ({"STATE_STORAGE": "cosmos"}, "COSMOS_ENDPOINT is missing"),
    ({"STATE_STORAGE": "cosmos", "COSMOS_KEY": SECRET}, "COSMOS_ENDPOINT is missing"),
    ({**COSMOS, "COSMOS_KEY_SUFFIX": "2", "COSMOS_COMPATIBILITY_MODE": "true"}, "do not go together"),
]


@pytest.mark.parametrize(("env", "expected"), HALF)
def test_half_given_credentials_are_refused_with_what_is_missing(env: dict[str, str], expected: str) -> None:
    message = refusal(env)
    assert expected in message
    assert "ab~secret" not in message
    assert SECRET not in message


def test_a_managed_identity_needs_no_password() -> None:
    assert Settings.from_env({"MicrosoftAppId": "x", **TENANT, "MicrosoftAppType": "UserAssignedMSI"}).app_id == "x"


def test_the_settings_of_a_storage_that_is_not_used_are_not_required() -> None:
    assert settings(STATE_STORAGE="memory", COSMOS_KEY=SECRET).state_storage == "memory"


LOOPBACK = ["localhost", "LOCALHOST", "127.0.0.1", "127.0.0.2", "::1"]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is to be refused
NETWORK = [EVERYWHERE, "::", "192.168.1.10", "10.0.0.5", "fe80::1%eth0", "bot.example.com", "127.0.0.1.nip.io"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_loopback_the_bot_needs_no_identity(host: str) -> None:
    assert settings(HOST=host).host == host


@pytest.mark.parametrize("host", NETWORK)
def test_on_a_network_the_bot_needs_an_identity_or_an_explicit_word(host: str) -> None:
    message = refusal({"HOST": host})
    assert message.startswith("HOST ")
    assert "MicrosoftAppId" in message
    assert "ALLOW_UNAUTHENTICATED=true" in message
    assert refusal({"HOST": host, "ALLOW_UNAUTHENTICATED": "false"}) == message
    assert settings(HOST=host, ALLOW_UNAUTHENTICATED="true").host == host
    assert Settings.from_env({**IDENTITY, "HOST": host}).host == host


def test_settings_made_in_code_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="HOST"):
        Settings(host=EVERYWHERE)
    with pytest.raises(ConfigError, match="COSMOS_ENDPOINT"):
        Settings(state_storage="cosmos")


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().port = 1  # type: ignore[misc]


def test_a_file_adds_to_the_environment_and_never_overrides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("PORT=1\nSTATE_STORAGE=memory\nSQLITE_PATH\n")
    monkeypatch.setenv("PORT", "2")
    monkeypatch.delenv("STATE_STORAGE", raising=False)
    found = environment(str(path))
    assert (found["PORT"], found["STATE_STORAGE"]) == ("2", "memory")
    assert Settings.from_env(found).port == 2


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("STATE_STORAGE=memory\n", encoding="utf-8-sig")
    monkeypatch.delenv("STATE_STORAGE", raising=False)
    assert environment(str(path))["STATE_STORAGE"] == "memory"


def test_a_missing_file_adds_nothing(tmp_path: Path) -> None:
    assert environment(str(tmp_path / "absent")).keys() == environment("/dev/null").keys()


@pytest.mark.parametrize("content", [b"\xff\xfeP\x00O\x00R\x00T\x00", b"COSMOS_KEY=\xe9secret\n"])
def test_a_file_that_is_not_utf_8_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"\.env cannot be read; expected UTF-8") as caught:
        environment(str(path))
    assert "secret" not in str(caught.value)


def test_the_example_file_names_every_variable_once_and_nothing_else() -> None:
    text = (ROOT / ".env.example").read_text()
    assert sorted(re.findall(r"^(?:# )?([A-Za-z_]+)=", text, re.MULTILINE)) == sorted(_VARIABLES)


def test_the_example_file_with_every_line_switched_on_gives_the_defaults(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text()
    path = tmp_path / ".env"
    path.write_text(re.sub(r"^# (?=[A-Za-z_]+=)", "", text, flags=re.MULTILINE))
    values = {name: value or "" for name, value in dotenv_values(path).items()}
    assert values.keys() == _VARIABLES.keys()
    assert Settings.from_env(values) == Settings()


@pytest.mark.parametrize("kind", ["SingleTenant", "UserAssignedMSI"])
def test_an_app_type_without_an_app_id_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="MicrosoftAppType is set without MicrosoftAppId"):
        Settings.from_env({"MicrosoftAppType": kind})


@pytest.mark.parametrize(
    "value",
    [
        "AccountName=a;AccountKey=!!!",
        "AccountName=a;AccountKey=a",
        "AccountName=;AccountKey=eA==",
        "AccountName=a;AccountKey=eA==;BlobEndpoint=garbage",
    ],
)
def test_a_connection_string_that_can_never_work_is_refused_at_once(value: str) -> None:
    with pytest.raises(ConfigError, match="BLOB_CONNECTION_STRING cannot be used") as refused:
        Settings.from_env({"STATE_STORAGE": "blob", "BLOB_CONNECTION_STRING": value})
    assert "AccountKey=!!!" not in str(refused.value)


def test_a_line_of_the_env_file_that_says_nothing_is_refused_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=1\nthis is not a line\nSTATE_STORAGE=blob\n")
    with pytest.raises(ConfigError, match="line 2"):
        environment(str(file))
