"""How values are spelled, and what was provisioned: azd may go on only with what will arrive as meant."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.preflight import problems, unprovisioned
from tests.infra.bicep import TemplateError
from tests.infra.production import INFRA, OWN_REGISTRATION, up


@pytest.mark.parametrize("text", ["two", "2.5", "٢", "1e1", "9" * 5000, " 3", "3\n", "03", "+3"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    assert list(problems({"MIN_REPLICAS": text})) == ["MIN_REPLICAS must be a whole number from 1 to 1000."]


@pytest.mark.parametrize("password", ['a"b', "a\\b", "a\nb"])
def test_a_password_that_would_break_the_parameter_file_is_refused_before_it_does(password: str) -> None:
    variables = {**OWN_REGISTRATION, "BOT_APP_PASSWORD": password}
    found = " ".join(problems(variables))
    assert "BOT_APP_PASSWORD" in found
    assert password not in found
    try:
        held = up(variables).environment["MicrosoftAppPassword"]
    except TemplateError as error:
        held = str(error)
    assert held != password


@pytest.mark.parametrize("name", ["STORAGE_BACKEND", "BOT_APP_TYPE", "BOT_APP_ID", "BOT_APP_PASSWORD", "MIN_REPLICAS"])
def test_spaces_around_a_value_are_refused_as_azd_would_hand_them_on(name: str) -> None:
    right = {**OWN_REGISTRATION, "STORAGE_BACKEND": "cosmos", "MIN_REPLICAS": "2"}
    assert list(problems(right)) == []
    assert all(name in sentence for sentence in problems({**right, name: f"{right[name]} "}))
    assert list(problems({**right, name: f" {right[name]}"}))


@pytest.mark.parametrize("text", ["bot", "11111111-2222-3333-4444", "11111111222233334444555555555555"])
@pytest.mark.parametrize("name", ["BOT_APP_ID", "DEVELOPER_PRINCIPAL_ID"])
def test_an_id_that_is_no_guid_is_refused(name: str, text: str) -> None:
    [sentence] = problems({**OWN_REGISTRATION, name: text})
    assert sentence.startswith(f"{name} must be a GUID")


PROVISIONED = {"BOT_APP_NAME": "ca-bot-1", "BOT_CLIENT_ID": OWN_REGISTRATION["BOT_APP_ID"]}
ON_COSMOS = PROVISIONED | {"BOT_COSMOS_ENDPOINT": "https://name.documents.azure.com:443/"}
ON_BLOB = PROVISIONED | {"BOT_BLOB_ACCOUNT_URL": "https://name.blob.core.windows.net/"}
CHANGED = {
    "to blobs": {**ON_COSMOS, "STORAGE_BACKEND": "blob"},
    "to Cosmos DB": ON_BLOB,
    "to another registration": {
        **ON_COSMOS,
        **OWN_REGISTRATION,
        "BOT_APP_ID": "44444444-0000-0000-0000-000000000000",
    },
}


@pytest.mark.parametrize("variables", CHANGED.values(), ids=CHANGED.keys())
def test_a_choice_that_was_not_provisioned_is_not_deployed(variables: dict[str, str]) -> None:
    [sentence] = unprovisioned(variables)
    assert "run `azd provision` first" in sentence
    assert list(problems(variables)) == []  # provisioning is what mends it
    assert hook("deploy", env=variables).returncode == 1
    assert hook(env=variables).returncode == 0


@pytest.mark.parametrize(
    "variables", [{}, ON_COSMOS, {**ON_BLOB, "STORAGE_BACKEND": "blob"}, {**ON_COSMOS, **OWN_REGISTRATION}]
)
def test_what_was_provisioned_is_deployed(variables: dict[str, str]) -> None:
    assert list(unprovisioned(variables)) == []
    assert hook("deploy", env=variables).returncode == 0


@pytest.mark.parametrize("variables", [{}, {"COSMOS_MODE": "autoscale"}, {"STORAGE_BACKEND": "blob"}, OWN_REGISTRATION])
def test_what_works_passes(variables: dict[str, str]) -> None:
    assert list(problems(variables)) == []


def hook(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(INFRA / "preflight.py"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_hook_stops_azd_with_the_sentence() -> None:
    env = {"COSMOS_MAX_THROUGHPUT": "4000", "MIN_REPLICAS": "11"}
    ran = hook(env=env)
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 2
    assert all(line.startswith("state bot: ") for line in ran.stderr.splitlines())
