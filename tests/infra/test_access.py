"""Broken copies of the templates: rights too few, too many or another's, and a password in the open, are found."""

from __future__ import annotations

import pytest

from tests.infra.checks import problems
from tests.infra.conftest import Break
from tests.infra.production import OWN_REGISTRATION

ASSIGNED_IN_COSMOS = "'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = "
ASSIGNED_IN_AZURE = "'Microsoft.Authorization/roleAssignments@2022-04-01' = "
FOR_A_DEVELOPER = "if (!empty(developerPrincipalId)) "
BROKEN_ACCESS = {
    "no right to pull": ("modules/registry.bicep", ASSIGNED_IN_AZURE, f"{ASSIGNED_IN_AZURE}if (false) ", "lacks"),
    "a stranger pulls": (
        "main.bicep",
        "pullPrincipalId: identity.outputs.principalId",
        "pullPrincipalId: '1'",
        "lacks",
    ),
    "no data": (
        "modules/cosmos.bicep",
        f"appData {ASSIGNED_IN_COSMOS}",
        f"appData {ASSIGNED_IN_COSMOS}if (false) ",
        "lacks",
    ),
    "no metadata": (
        "modules/cosmos.bicep",
        f"appMetadata {ASSIGNED_IN_COSMOS}",
        f"appMetadata {ASSIGNED_IN_COSMOS}if (false) ",
        "lacks",
    ),
    "data for the developer instead": (
        "modules/cosmos.bicep",
        "principalId: appPrincipalId\n    scope: '${account.id}/dbs",
        "principalId: developerPrincipalId\n    scope: '${account.id}/dbs",
        "lacks",
    ),
    "a client id for the principal's": (
        "main.bicep",
        "appPrincipalId: identity.outputs.principalId",
        "appPrincipalId: identity.outputs.clientId",
        "lacks",
    ),
    "rights for a developer who is nobody": (
        "modules/cosmos.bicep",
        FOR_A_DEVELOPER,
        "if (true) ",
        "more than",
    ),
    "the principal's id for the client's": (
        "main.bicep",
        "botAppId : identity.outputs.clientId\n    identityId",
        "botAppId : identity.outputs.principalId\n    identityId",
        "msaAppId",
    ),
    "the identity of something else": ("app.bicep", "'${identity.id}': {}", "'${apps.id}': {}", "the app's identities"),
    "a second identity": (
        "app.bicep",
        "'${identity.id}': {}",
        "'${identity.id}': {}\n      '${apps.id}': {}",
        "identities",
    ),
    "pulled as the app itself": (
        "app.bicep",
        "          identity: identity.id",
        "          identity: 'system'",
        "pulls",
    ),
    "another environment": ("app.bicep", "environmentId: apps.id", "environmentId: identity.id", "environmentId"),
    "no such client": ("app.bicep", "value: identity.properties.clientId", "value: 'x'", "AZURE_CLIENT_ID"),
    "the principal for a client": ("app.bicep", "properties.clientId", "properties.principalId", "AZURE_CLIENT_ID"),
    "a registration of another identity": (
        "main.bicep",
        "Id: identity.outputs.id",
        "Id: registry.outputs.loginServer",
        "the registration's identity",
    ),
}
BROKEN_ACCESS_TO_BLOBS = {
    "no data": (
        "modules/storage.bicep",
        f"appData {ASSIGNED_IN_AZURE}",
        f"appData {ASSIGNED_IN_AZURE}if (false) ",
        "lacks",
    ),
    "data for the developer instead": (
        "modules/storage.bicep",
        "principalId: appPrincipalId",
        "principalId: developerPrincipalId",
        "lacks",
    ),
    "rights for a developer who is nobody": ("modules/storage.bicep", FOR_A_DEVELOPER, "if (true) ", "more than"),
}
BROKEN_SECRETS = {
    "a readable parameter": ("app.bicep", "@secure()\n", "", "app.bicep: botAppPassword is not @secure"),
    "a readable parameter of the first": ("main.bicep", "@secure()\n", "", "main.bicep: botAppPassword is not @secure"),
    "an output": (
        "app.bicep",
        "\noutput SERVICE",
        "\noutput PASSWORD string = botAppPassword\noutput SERVICE",
        "output",
    ),
    "an open setting": ("app.bicep", "secretRef: 'bot-app-password'", "value: botAppPassword", "env["),
    "a tag": ("app.bicep", "'azd-service-name': 'app'", "'azd-service-name': 'app'\n    p: botAppPassword", ".tags.p"),
}


@pytest.mark.parametrize(("file", "old", "new", "said"), BROKEN_ACCESS.values(), ids=BROKEN_ACCESS.keys())
def test_a_copy_with_too_little_or_anothers_access_is_found(
    broken: Break, file: str, old: str, new: str, said: str
) -> None:
    assert said in " ".join(problems(broken(file, old, new), {}))


@pytest.mark.parametrize(
    ("file", "old", "new", "said"), BROKEN_ACCESS_TO_BLOBS.values(), ids=BROKEN_ACCESS_TO_BLOBS.keys()
)
def test_a_copy_with_too_little_or_anothers_access_to_blobs_is_found(
    broken: Break, file: str, old: str, new: str, said: str
) -> None:
    assert said in " ".join(problems(broken(file, old, new), {"STORAGE_BACKEND": "blob"}))


@pytest.mark.parametrize(("file", "old", "new", "said"), BROKEN_SECRETS.values(), ids=BROKEN_SECRETS.keys())
def test_a_copy_that_shows_the_password_is_found(broken: Break, file: str, old: str, new: str, said: str) -> None:
    assert said in " ".join(problems(broken(file, old, new), OWN_REGISTRATION))
