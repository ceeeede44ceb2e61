"""The templates as Azure would take them, in every form that the parameters allow; and that broken ones are found."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.infra import azure_types
from tests.infra.bicep import parse
from tests.infra.checks import problems
from tests.infra.conftest import Break
from tests.infra.production import INFRA, OWN_REGISTRATION, up
from tests.infra.template import text_files

BACKENDS = [
    {"STORAGE_BACKEND": "cosmos"},
    {"COSMOS_MODE": "autoscale"},
    {"COSMOS_MODE": "autoscale", "COSMOS_MAX_THROUGHPUT": "4000"},
    {"STORAGE_BACKEND": "blob"},
    {"STORAGE_BACKEND": "blob", "EXPIRE_CONVERSATION_DAYS": "90"},
    {"STORAGE_BACKEND": "blob", "EXPIRE_CONVERSATION_DAYS": "90", "EXPIRE_PRIVATE_DAYS": "120"},
    {"STORAGE_BACKEND": "blob", "EXPIRE_USER_DAYS": "365"},
]
FORMS = [
    backend | registration | developer
    for backend, registration, developer in itertools.product(
        BACKENDS, [{}, OWN_REGISTRATION], [{}, {"DEVELOPER_PRINCIPAL_ID": "33333333-0000-0000-0000-000000000000"}]
    )
]
needs_types = pytest.mark.skipif(
    not azure_types.FOLDER.is_dir(), reason=f"no Azure types in {azure_types.FOLDER}; AZURE_TYPES names another folder"
)


@pytest.mark.parametrize("file", text_files(INFRA), ids=lambda file: file.name)
def test_a_template_is_bicep(file: Path) -> None:
    parse(file.read_text())


@pytest.mark.parametrize("form", FORMS, ids=lambda form: " ".join(form.values()) or "as it comes")
def test_every_form_of_the_deployment_holds_what_it_must(form: dict[str, str]) -> None:
    assert problems(INFRA, form) == []


@needs_types
@pytest.mark.parametrize("form", FORMS, ids=lambda form: " ".join(form.values()) or "as it comes")
def test_every_resource_is_of_azures_published_types(form: dict[str, str]) -> None:
    assert [said for resource in up(form).whole.resources for said in azure_types.problems(resource)] == []


def test_another_identity_is_another_registration_as_none_can_change_its_own() -> None:
    def name(form: dict[str, str]) -> str:
        return str(up(form).main.of("Microsoft.BotService/botServices")[0]["name"])

    another = {**OWN_REGISTRATION, "BOT_APP_ID": "44444444-0000-0000-0000-000000000000"}
    assert len({name({}), name(OWN_REGISTRATION), name(another)}) == 3
    assert name({}) == name({"STORAGE_BACKEND": "blob"})


def test_a_region_without_zones_can_have_blob_storage() -> None:
    [account] = up({"STORAGE_BACKEND": "blob", "STORAGE_SKU": "Standard_LRS"}).main.of(
        "Microsoft.Storage/storageAccounts"
    )
    assert account["sku.name"] == "Standard_LRS"


def test_a_production_without_a_registration_of_its_own_has_no_secret_at_all() -> None:
    made = up({})
    assert made.app.of("Microsoft.App/containerApps")[0]["properties.configuration.secrets"] == []
    assert not {name for name in made.environment if "KEY" in name.upper() or "PASSWORD" in name.upper()}


BROKEN = {
    "a syntax error": ("app.bicep", "resource app '", "resource app app '", "not Bicep"),
    "an undefined name": ("modules/registry.bicep", "principalId: pullPrincipalId", "principalId: puller", "puller"),
    "an unused parameter": ("modules/bot.bicep", "param endpoint string", "param endpoint string\nparam x int", "x is"),
    "a key": ("modules/cosmos.bicep", "account.properties.documentEndpoint", "account.listKeys().primaryKey", "line"),
    "a module's missing parameter": ("main.bicep", "    endpoint: 'https", "    endPoint: 'https", "endPoint"),
    "a module's missing output": ("main.bicep", "registry.outputs.loginServer", "registry.outputs.server", "server"),
    "a wrong type": ("main.bicep", "Throughput == 0 ? 1000", "Throughput == 0 ? '1000'", "maxThroughput"),
    "Cosmos keys": ("modules/cosmos.bicep", "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth"),
    "Session": ("modules/cosmos.bicep", "'Strong'", "'Session'", "Strong"),
    "an old TLS": ("modules/cosmos.bicep", "'Tls12'", "'Tls11'", "minimalTlsVersion"),
    "another partition key": ("modules/cosmos.bicep", "'/id'", "'/realId'", "partitionKey"),
    "an index": ("modules/cosmos.bicep", "indexingMode: 'none'", "indexingMode: 'consistent'", "indexingMode"),
    "no TTL": ("modules/cosmos.bicep", "      defaultTtl: -1\n", "", "defaultTtl"),
    "account-wide data": ("modules/cosmos.bicep", "/dbs/${database.name}/colls/${container.name}", "", "more than"),
    "a second right": ("modules/cosmos.bicep", "databaseAccounts/readMetadata'", "databaseAccounts/*'", "metadata"),
    "changes at once": ("modules/cosmos.bicep", "  dependsOn: [\n    appData\n  ]\n", "", "does not wait"),
    "both modes": ("modules/cosmos.bicep", "options: mode == 'autoscale'", "options: mode != ''", "or both"),
    "a stranger's role": ("modules/registry.bicep", "7f951dda", "8311e382", "more than"),
    "no scope": ("modules/registry.bicep", "  scope: registry\n  name: guid", "  name: guid", "more than"),
    "the registry's password": ("modules/registry.bicep", "adminUserEnabled: false", "adminUserEnabled: true", "admin"),
    "a probe less": ("app.bicep", "type: 'Liveness'", "type: 'Readiness'", "probes"),
    "storage in liveness": ("app.bicep", "path: '/healthz'", "path: '/readyz'", "probes"),
    "another port": ("app.bicep", "targetPort: port", "targetPort: 8080", "PORT"),
    "plain HTTP": ("app.bicep", "allowInsecure: false", "allowInsecure: true", "allowInsecure"),
    "too short a stop": ("app.bicep", "var stopSeconds = 30", "var stopSeconds = 5", "killed"),
    "no scale rule": ("app.bicep", "concurrentRequests: '14'", "concurrentRequests: '0'", "scaled"),
    "refused before it is scaled": ("app.bicep", "concurrentRequests: '14'", "concurrentRequests: '15'", "scaled"),
    "one replica": ("app.parameters.json", "MIN_REPLICAS=2", "MIN_REPLICAS=1", "replica"),
    "MultiTenant": ("modules/bot.bicep", "msaAppType: appType", "msaAppType: 'MultiTenant'", "MultiTenant"),
    "no channel": ("modules/bot.bicep", "name: 'MsTeamsChannel'", "name: 'SkypeChannel'", "channels"),
    "another endpoint": ("main.bicep", "/api/messages'", "/api/message'", "endpoint"),
    "a silent channel": ("modules/bot.bicep", "isEnabled: true\n      acc", "isEnabled: false\n      acc", "is off"),
    "a silent web page": (
        "modules/bot.bicep",
        "isEnabled: true\n          isW",
        "isEnabled: false\n          isW",
        "is off",
    ),
    "logs that are off": (
        "modules/environment.bicep",
        "SystemLogs'\n        enabled: true",
        "SystemLogs'\n        enabled: false",
        "is off",
    ),
    "metrics that are off": (
        "modules/cosmos.bicep",
        "'Requests'\n        enabled: true",
        "'Requests'\n        enabled: false",
        "is off",
    ),
    "replicas of its own": ("app.bicep", "maxReplicas: int(maxReplicas)", "maxReplicas: 3", "asked for"),
    "a locked account": ("modules/cosmos.bicep", "Access: 'Enabled'", "Access: 'Disabled'", "publicNetworkAccess"),
    "a locked registration": ("modules/bot.bicep", "Access: 'Enabled'", "Access: 'Disabled'", "publicNetworkAccess"),
    "an old API": ("modules/cosmos.bicep", "@2025-04-15", "@2020-04-01", "version"),
    "silent logs": ("modules/environment.bicep", "scope: apps", "scope: resourceGroup", "resourceGroup"),
    "no workspace": ("modules/cosmos.bicep", "    workspaceId: workspaceId\n", "", "workspaceId"),
    "no tag": ("app.bicep", "'azd-service-name': 'app'", "'azd-service-name': 'bot'", "azd"),
    "a setting's parameter": ("app.parameters.json", '"blobContainer"', '"blobContainers"', "blobContainers"),
}
BROKEN_BLOB = {
    "shared keys": ("modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "SharedKey"),
    "public blobs": ("modules/storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess"),
    "TLS 1.0": ("modules/storage.bicep", "TLS1_2", "TLS1_0", "minimumTls"),
    "HTTP to blobs": ("modules/storage.bicep", "HttpsTrafficOnly: true", "HttpsTrafficOnly: false", "HttpsTraffic"),
    "locked blobs": ("modules/storage.bicep", "Access: 'Enabled'", "Access: 'Disabled'", "publicNetworkAccess"),
    "blobs for no network": ("modules/storage.bicep", "Action: 'Allow'", "Action: 'Deny'", "defaultAction"),
    "metrics that are off": (
        "modules/storage.bicep",
        "'Transaction'\n        enabled: true",
        "'Transaction'\n        enabled: false",
        "is off",
    ),
    "a whole account": ("modules/storage.bicep", "scope: container", "scope: account", "more than"),
    "early deletion": ("modules/storage.bicep", "conversationDays + 1", "conversationDays", "still read"),
    "deletion unasked": ("modules/storage.bicep", "enabled: expireUserDays > 0", "enabled: true", "forget-users"),
    "a prefix less": ("modules/storage.bicep", "/~webchat~2Fusers~2F", "/~web~2Fusers~2F", "does not reach"),
}


@pytest.mark.parametrize(("file", "old", "new", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_copy_is_found(broken: Break, file: str, old: str, new: str, said: str) -> None:
    assert said in " ".join(problems(broken(file, old, new), {}))


@pytest.mark.parametrize(("file", "old", "new", "said"), BROKEN_BLOB.values(), ids=BROKEN_BLOB.keys())
def test_a_broken_copy_on_blob_storage_is_found(broken: Break, file: str, old: str, new: str, said: str) -> None:
    assert said in " ".join(problems(broken(file, old, new), {"STORAGE_BACKEND": "blob"}))


UNTYPED = {
    "an unknown property": ("modules/cosmos.bicep", "minimalTlsVersion:", "minimumTlsVersion:", "is unknown"),
    "a value outside the enum": ("modules/cosmos.bicep", "'Continuous7Days'", "'Continuous8Days'", "expected"),
    "a missing property": ("modules/cosmos.bicep", "    databaseAccountOfferType: 'Standard'\n", "", "is missing"),
    "a text for a number": ("app.bicep", "periodSeconds: 10", "periodSeconds: '10'", "cannot be '10'"),
    "another kind of channel": ("modules/bot.bicep", "channelName: 'MsTeamsChannel'", "channelName: 'Teams'", "Teams"),
    "a version that never was": ("modules/bot.bicep", "@2022-09-15", "@2022-09-16", "no API version"),
    "a list for a number": ("modules/monitoring.bicep", "InDays: 30", "InDays: [\n      30\n    ]", "cannot be [30]"),
    "a number past the limit": ("modules/cosmos.bicep", "version: 2\n", "version: 3\n", "maxValue 2"),
    "a name too long": (
        "main.bicep",
        "'crbot${token}'",
        "'the0container0registry0of0the0state0bot0${token}'",
        "maxLength 50",
    ),
    "a name of other letters": ("main.bicep", "'cosmos-bot-", "'Cosmos_bot-", "pattern"),
    "a name too short": ("modules/monitoring.bicep", "'log-bot-${token}'", "'l'", "minLength 4"),
    "something read-only": ("modules/identity.bicep", "  tags: tags\n", "  tags: tags\n  id: name\n", "read-only"),
}


@needs_types
@pytest.mark.parametrize(("file", "old", "new", "said"), UNTYPED.values(), ids=UNTYPED.keys())
def test_a_copy_that_is_not_of_the_published_types_is_found(
    broken: Break, file: str, old: str, new: str, said: str
) -> None:
    resources = up({}, broken(file, old, new)).whole.resources
    assert said in " ".join(found for resource in resources for found in azure_types.problems(resource))
