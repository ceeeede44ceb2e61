"""What the deployment must be, beyond what Azure would refuse: a sentence for everything that it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

from bots.admission import TooMany, Turns
from bots.turn.deadline import REPLYING
from config import Settings
from storage.keys import blob_name
from tests.infra.access import one_identity, roles, secrets
from tests.infra.bicep import TemplateError
from tests.infra.demands import API_VERSIONS, EXPIRES, MUST_BE, STOP_MARGIN, WATCHED
from tests.infra.deployment import Resource
from tests.infra.production import Production, up


def problems(infra: Path, form: Mapping[str, str]) -> list[str]:
    """Return everything that is wrong with a form of the templates in `infra`."""
    try:
        made = up(form, infra)
        return [said for check in CHECKS for said in check(made)]
    except TemplateError as error:
        return [str(error)]


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
    asked = made.parameters["minReplicas"], made.parameters["maxReplicas"]
    if (scale["minReplicas"], scale["maxReplicas"]) != asked:
        yield f"{app}: {scale['minReplicas']} to {scale['maxReplicas']} replicas, {asked} are asked for"
    if scale["minReplicas"] < 2:
        yield f"{app}: one replica alone cannot be replaced without a gap"
    [rate] = [int(rule["http"]["metadata"]["concurrentRequests"]) for rule in scale["rules"]]
    turns = rate * (Settings().turn_timeout + REPLYING)
    if not 0 < turns <= turns_of_one_host():
        yield f"{app}: {rate} requests a second may be {turns:.0f} turns at once, and it is scaled after that only"


def turns_of_one_host() -> int:
    """How many turns a replica takes while all of them reply to one host, as all of Teams do."""
    turns, found = Turns(), 0
    with ExitStack() as taken, suppress(TooMany):
        while True:
            taken.enter_context(turns.one("smba.trafficmanager.net"))
            found += 1
    return found


def registration(made: Production) -> Iterator[str]:
    """The Azure Bot: who it is, where it is, where it can be talked to."""
    [bot] = made.whole.of("Microsoft.BotService/botServices")
    [app] = made.app.of("Microsoft.App/containerApps")
    kind = bot["properties.msaAppType"]
    if kind not in ("UserAssignedMSI", "SingleTenant"):
        yield f"{bot}: {kind} registrations cannot be created any more"
    if kind != made.environment.get("MicrosoftAppType"):
        yield f"{bot}: it is {kind}, the bot believes to be {made.environment.get('MicrosoftAppType')}"
    if not bot["properties.msaAppTenantId"]:
        yield f"{bot}: it needs its tenant"
    endpoint = bot["properties.endpoint"]
    if not (endpoint.startswith(f"https://{app['name']}.<") and endpoint.endswith("/api/messages")):
        yield f"{bot}: the endpoint {endpoint} is not the bot's"
    channels = {each["name"]: each["properties.properties"] for each in made.whole.of(f"{bot.kind}/channels")}
    if channels.keys() != {"MsTeamsChannel", "WebChatChannel"}:
        yield f"{bot}: its channels are {sorted(channels)}"
    for name, channel in channels.items():
        parts = channel.get("sites", [channel])
        if not parts or any(part["isEnabled"] is not True for part in parts):
            yield f"{bot}: {name} is off"


def throughput(made: Production) -> Iterator[str]:
    """Serverless or autoscale, not both and not neither."""
    for container in made.whole.of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers"):
        [account] = made.whole.of("Microsoft.DocumentDB/databaseAccounts")
        if len(account["properties.locations"]) != 1:
            yield f"{account}: one region decides a turn"
        serverless = {"name": "EnableServerless"} in account["properties.capabilities"]
        if serverless == bool(container["properties.options.autoscaleSettings.maxThroughput"]):
            yield f"{container}: neither serverless nor autoscale, or both"


def one_at_a_time(made: Production) -> Iterator[str]:
    """What is changed in a Cosmos DB account waits for what was changed before: at once, the account refuses some."""
    prefix = "Microsoft.DocumentDB/databaseAccounts/sql"
    for before, each in pairwise(each for each in made.whole.resources if each.kind.startswith(prefix)):
        if before.ref() not in map(str, [*(each["dependsOn"] or ()), each["parent"]]):
            yield f"{each}: it does not wait for {before}"


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
    for each in settings:
        parts = [*(each["properties.logs"] or ()), *(each["properties.metrics"] or ())]
        if not parts or any(part["enabled"] is not True for part in parts):
            yield f"{each}: something of {each['scope']} is off"
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
    roles,
    one_identity,
    secrets,
    replicas,
    registration,
    throughput,
    one_at_a_time,
    forgetting,
    diagnostics,
    telemetry,
    tags,
)
