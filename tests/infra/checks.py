"""What the deployment must be, beyond what Azure would refuse: a sentence for everything that it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from config import Settings
from storage.keys import blob_name
from tests.infra.demands import (
    ACR_PULL,
    API_VERSIONS,
    BLOB_DATA_CONTRIBUTOR,
    COSMOS_DATA_CONTRIBUTOR,
    EXPIRES,
    MUST_BE,
    STOP_MARGIN,
    WATCHED,
)
from tests.infra.production import Production
from tests.infra.template import Resource


def all_problems(made: Production) -> list[str]:
    """Return what every check says."""
    return [said for check in CHECKS for said in check(made)]


def fixed_values(made: Production) -> Iterator[str]:
    """No keys, no plain HTTP, nothing public, and what the transaction of a turn needs of the storage."""
    for resource in made.whole.resources:
        for path, value in MUST_BE.get(resource.kind, {}).items():
            if resource[path] != value:
                yield f"{resource}: {path} is {resource[path]!r}, must be {value!r}"


def api_versions(made: Production) -> Iterator[str]:
    """The versions that were looked at."""
    for resource in made.whole.resources:
        kind = "/".join(resource.kind.split("/")[:2])
        if resource.version != API_VERSIONS.get(kind):
            yield f"{resource}: version {resource.version}, expected {API_VERSIONS.get(kind)}"


def least_roles(made: Production) -> Iterator[str]:
    """Data only, and no further than one registry or one container."""
    allowed = {ACR_PULL: "Microsoft.ContainerRegistry/registries", BLOB_DATA_CONTRIBUTOR: "blobServices/containers"}
    kinds = {(resource.file, resource.symbol): resource.kind for resource in made.whole.resources}
    for each in made.whole.of("Microsoft.Authorization/roleAssignments"):
        role, scope = (
            each["properties.roleDefinitionId"].rpartition("/")[2],
            getattr(each["scope"], "path", "all of it"),
        )
        if role not in allowed or not kinds.get((each.file, scope), "").endswith(allowed[role]):
            yield f"{each}: role {role} on {scope} is more than the bot needs"
    own = [role for role in made.whole.resources if role.kind.endswith("/sqlRoleDefinitions")]
    for role in own:
        if role["properties.permissions"] != [{"dataActions": ["Microsoft.DocumentDB/databaseAccounts/readMetadata"]}]:
            yield f"{role}: may do more than read metadata"
    for each in made.whole.of("Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"):
        role, scope = str(each["properties.roleDefinitionId"]), str(each["properties.scope"])
        of_container = role.endswith(f"/{COSMOS_DATA_CONTRIBUTOR}") and "/colls/" in scope
        if not of_container and role not in [f"<{definition.symbol}.id>" for definition in own]:
            yield f"{each}: role {role} on {scope} is more than the bot needs"


def replicas(made: Production) -> Iterator[str]:
    """Probes, scale and stop of the container."""
    [app] = made.app.of("Microsoft.App/containerApps")
    [container] = app["properties.template.containers"]
    port = app["properties.configuration.ingress.targetPort"]
    if made.environment.get("PORT") != str(port):
        yield f"{app}: PORT is {made.environment.get('PORT')}, the ingress asks at {port}"
    found = {probe["type"]: (probe["httpGet"]["path"], probe["httpGet"]["port"]) for probe in container["probes"]}
    wanted = {"Startup": ("/healthz", port), "Liveness": ("/healthz", port), "Readiness": ("/readyz", port)}
    if found != wanted:
        yield f"{app}: the probes are {found}, expected {wanted}"
    stop = app["properties.template.terminationGracePeriodSeconds"] or 0
    if stop < Settings().shutdown_timeout + STOP_MARGIN:
        needed = Settings().shutdown_timeout + STOP_MARGIN
        yield f"{app}: it is killed after {stop} s; the bot may need {needed:.0f} s to stop"
    scale = app["properties.template.scale"]
    if scale["minReplicas"] < 2:
        yield f"{app}: one replica alone cannot be replaced without a gap"
    if not any(int(rule.get("http", {}).get("metadata", {}).get("concurrentRequests", 0)) for rule in scale["rules"]):
        yield f"{app}: nothing scales it on concurrent requests"
    pulls = [each for each in app["properties.configuration.registries"] if each.get("identity")]
    if not pulls or any("passwordSecretRef" in each for each in pulls):
        yield f"{app}: the image must be pulled with the identity"


def registration(made: Production) -> Iterator[str]:
    """The Azure Bot: who it is, where it is, where it can be talked to."""
    [bot] = made.whole.of("Microsoft.BotService/botServices")
    [app] = made.app.of("Microsoft.App/containerApps")
    kind = bot["properties.msaAppType"]
    if kind not in ("UserAssignedMSI", "SingleTenant"):
        yield f"{bot}: {kind} registrations cannot be created any more"
    if kind != made.environment.get("MicrosoftAppType"):
        yield f"{bot}: it is {kind}, the bot believes to be {made.environment.get('MicrosoftAppType')}"
    if (kind == "UserAssignedMSI") != bool(bot["properties.msaAppMSIResourceId"]):
        yield f"{bot}: msaAppMSIResourceId goes with UserAssignedMSI, and with nothing else"
    if not bot["properties.msaAppTenantId"]:
        yield f"{bot}: it needs its tenant"
    endpoint = bot["properties.endpoint"]
    if not (endpoint.startswith(f"https://{app['name']}.<") and endpoint.endswith("/api/messages")):
        yield f"{bot}: the endpoint {endpoint} is not the bot's"
    channels = {each["name"] for each in made.whole.of("Microsoft.BotService/botServices/channels")}
    if channels != {"MsTeamsChannel", "WebChatChannel"}:
        yield f"{bot}: its channels are {sorted(channels)}"


def throughput(made: Production) -> Iterator[str]:
    """Serverless or autoscale, not both and not neither."""
    for container in made.whole.of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers"):
        [account] = made.whole.of("Microsoft.DocumentDB/databaseAccounts")
        if len(account["properties.locations"]) != 1:
            yield f"{account}: one region decides a turn"
        serverless = {"name": "EnableServerless"} in account["properties.capabilities"]
        if serverless == bool(container["properties.options.autoscaleSettings.maxThroughput"]):
            yield f"{container}: neither serverless nor autoscale, or both"


def forgetting(made: Production) -> Iterator[str]:
    """The lifecycle rules hit the documents that expire, and not a day too early."""
    for policy in made.whole.of("Microsoft.Storage/storageAccounts/managementPolicies"):
        rules = {rule["name"]: rule for rule in policy["properties.policy.rules"]}
        for scope, variables in EXPIRES.items():
            rule, days = rules[f"forget-{scope}"], [int(made.environment.get(name, 0)) for name in variables]
            if rule["enabled"] != all(days):
                yield f"{policy}: forget-{scope} is {rule['enabled']} where {variables} are {days}"
            if rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"] <= max(days):
                yield f"{policy}: forget-{scope} deletes what the bot may still read"
            prefixes = tuple(rule["definition"]["filters"]["prefixMatch"])
            for key in (
                f"{channel}/{scope}/{odd}1" for channel in ("msteams", "webchat", "directline") for odd in ("", "\\")
            ):
                if not f"bot-state/{blob_name(key)}".startswith(prefixes):
                    yield f"{policy}: forget-{scope} does not reach {blob_name(key)}"


def diagnostics(made: Production) -> Iterator[str]:
    """Everything that has logs sends them to the workspace."""
    settings = made.whole.of("Microsoft.Insights/diagnosticSettings")
    sent = {(each.file, each["scope"].path) for each in settings if each["properties.workspaceId"]}
    for resource in made.whole.resources:
        if resource.kind in WATCHED and (resource.file, resource.symbol) not in sent:
            yield f"{resource}: its logs go nowhere"


def telemetry(made: Production) -> Iterator[str]:
    """Application Insights has the workspace, and the registration reports to it."""
    [insights] = made.whole.of("Microsoft.Insights/components")
    [bot] = made.whole.of("Microsoft.BotService/botServices")
    if not (insights["properties.WorkspaceResourceId"] and bot["properties.developerAppInsightKey"]):
        yield f"{insights}: it gets nothing"


def tags(made: Production) -> Iterator[str]:
    """azd finds the resource group and the app by their tags."""
    for resource in (*made.whole.of("Microsoft.Resources/resourceGroups"), *made.app.resources):
        if (resource["tags"] or {}).get("azd-env-name") != "prod" or _service(resource) not in (None, "app"):
            yield f"{resource}: azd will not find it by {resource['tags']}"


def _service(resource: Resource) -> str | None:
    name = (resource["tags"] or {}).get("azd-service-name", "")
    return str(name) if resource.kind == "Microsoft.App/containerApps" else None


CHECKS: Final[tuple[Callable[[Production], Iterator[str]], ...]] = (
    fixed_values,
    api_versions,
    least_roles,
    replicas,
    registration,
    throughput,
    forgetting,
    diagnostics,
    telemetry,
    tags,
)
