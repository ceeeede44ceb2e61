"""Who may do what, as whom, and what nobody may read: a sentence for what is too much, missing or another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from tests.infra.demands import ACR_PULL, BLOB_DATA_CONTRIBUTOR, COSMOS_DATA_CONTRIBUTOR
from tests.infra.deployment import Resource
from tests.infra.production import Production

Right = tuple[str, str, str]  # a role's id, what it is for, and the principal's id
_METADATA: Final = [{"dataActions": ["Microsoft.DocumentDB/databaseAccounts/readMetadata"]}]
_IN_SQL: Final = "Microsoft.DocumentDB/databaseAccounts"


def roles(made: Production) -> Iterator[str]:
    """The bot may pull its image and has the data of one container; a developer has the data. Nothing else."""
    needed, given = Counter(_needed(made)), Counter(_given(made))
    for role, scope, principal in given - needed:
        yield f"{principal} has role {role} on {scope}: more than the bot needs"
    for role, scope, principal in needed - given:
        yield f"{principal} lacks role {role} on {scope}: it is missing"
    for role_definition in made.whole.of(f"{_IN_SQL}/sqlRoleDefinitions"):
        if role_definition["properties.permissions"] != _METADATA:
            yield f"{role_definition}: may do more than read metadata"


def _needed(made: Production) -> Iterator[Right]:
    bot = identity_of(made).ref("properties.principalId")
    developer = made.parameters["developerPrincipalId"]
    for registry in made.whole.of("Microsoft.ContainerRegistry/registries"):
        yield ACR_PULL, registry.ref(), bot
    for principal in filter(None, (bot, developer)):
        for container in made.whole.of("Microsoft.Storage/storageAccounts/blobServices/containers"):
            yield BLOB_DATA_CONTRIBUTOR, container.ref(), principal
        for account in made.whole.of(_IN_SQL):
            [container] = made.whole.of(f"{_IN_SQL}/sqlDatabases/containers")
            [database] = made.whole.of(f"{_IN_SQL}/sqlDatabases")
            [reader] = made.whole.of(f"{_IN_SQL}/sqlRoleDefinitions")
            scope = f"{account.ref('id')}/dbs/{database['name']}/colls/{container['name']}"
            yield f"{account.ref('id')}/sqlRoleDefinitions/{COSMOS_DATA_CONTRIBUTOR}", scope, principal
            yield reader.ref("id"), account.ref("id"), principal


def _given(made: Production) -> Iterator[Right]:
    for each in made.whole.of("Microsoft.Authorization/roleAssignments"):
        role = str(each["properties.roleDefinitionId"]).rpartition("/")[2]
        yield role, str(each["scope"]), str(each["properties.principalId"])
    for each in made.whole.of(f"{_IN_SQL}/sqlRoleAssignments"):
        of_it = each["properties"]
        yield str(of_it["roleDefinitionId"]), str(of_it["scope"]), str(of_it["principalId"])


def one_identity(made: Production) -> Iterator[str]:
    """The app runs as, pulls with and asks for the identity that has the rights; so does the registration."""
    identity, [app] = identity_of(made), made.app.of("Microsoft.App/containerApps")
    [environment], [bot] = (
        made.main.of("Microsoft.App/managedEnvironments"),
        made.main.of("Microsoft.BotService/botServices"),
    )
    registries = [each.ref("properties.loginServer") for each in made.main.of("Microsoft.ContainerRegistry/registries")]
    [container] = app["properties.template.containers"]
    told = {each["name"]: str(each.get("value")) for each in container["env"]}
    own = made.parameters["botAppType"] == "UserAssignedMSI"
    expected = {
        "the app's identities": (list(app["identity.userAssignedIdentities"]), [identity.ref("id")]),
        "the identity that pulls": (
            [str(each.get("identity")) for each in app["properties.configuration.registries"]],
            [identity.ref("id")],
        ),
        "the registry": ([str(made.main.outputs["AZURE_CONTAINER_REGISTRY_ENDPOINT"])], registries),
        "AZURE_CLIENT_ID": (told.get("AZURE_CLIENT_ID"), identity.ref("properties.clientId")),
        "environmentId": (str(app["properties.environmentId"]), environment.ref("id")),
        "the registration's msaAppId": (
            str(bot["properties.msaAppId"]),
            identity.ref("properties.clientId") if own else made.parameters["botAppId"],
        ),
        "the registration's identity": (
            str(bot["properties.msaAppMSIResourceId"]),
            identity.ref("id") if own else "",
        ),
        "MicrosoftAppId": (
            str(made.main.outputs["BOT_CLIENT_ID"]),
            str(bot["properties.msaAppId"]),
        ),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            yield f"{what}: it is {found}, must be {wanted}"


def identity_of(made: Production) -> Resource:
    """Return the identity that the deployment makes."""
    [identity] = made.main.of("Microsoft.ManagedIdentity/userAssignedIdentities")
    return identity


def secrets(made: Production) -> Iterator[str]:
    """The password goes from a secure parameter to a secret of the app, and nowhere else."""
    password = made.parameters["botAppPassword"]
    if not password:
        return
    for name, value in made.whole.shown.items():
        if _holds(value, password):
            yield f"{name} is not @secure(), and holds the password"
    for name, value in made.whole.outputs.items():
        if _holds(value, password):
            yield f"output {name} shows the password"
    for resource in made.whole.resources:
        for where in _places(resource.body, password, ""):
            if not where.startswith(".properties.configuration.secrets["):
                yield f"{resource}: {where} shows the password"


def _holds(value: Any, password: str) -> bool:
    return any(_places(value, password, "it"))


def _places(value: Any, password: str, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _places(item, password, f"{where}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, password, f"{where}[{number}]")
    elif password in str(value):
        yield where
