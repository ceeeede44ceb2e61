"""`azd up` on paper: both templates with the parameters that azd would hand them, and what the container is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.infra.bicep import Later, TemplateError
from tests.infra.deployment import Deployment
from tests.infra.template import declared, deploy

ROOT: Final = Path(__file__).parents[2]
INFRA: Final = ROOT / "infra"
CLIENT_ID: Final = "11111111-2222-3333-4444-555555555555"
OWN_REGISTRATION: Final = {
    "BOT_APP_TYPE": "SingleTenant",
    "BOT_APP_ID": CLIENT_ID,
    "BOT_APP_PASSWORD": "of the registration",
}

_OF_AZD: Final = {
    "AZURE_ENV_NAME": "prod",
    "AZURE_LOCATION": "westeurope",
    "SERVICE_APP_IMAGE_NAME": "r.azurecr.io/app:1",
}
_OF_AZURE: Final = {
    "properties.clientId": CLIENT_ID,
    "properties.principalId": "22222222-3333-4444-5555-666666666666",
    "properties.documentEndpoint": "https://name.documents.azure.com:443/",
    "properties.primaryEndpoints.blob": "https://name.blob.core.windows.net/",
    "properties.loginServer": "name.azurecr.io",
    "properties.ConnectionString": f"InstrumentationKey={CLIENT_ID};IngestionEndpoint=https://region.in.example.net/",
}
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Production:
    """What is deployed, and the environment of the bot's process, secrets included.

    Attributes:
        parameters: what the first template was given, and of the second what the first has not.
    """

    main: Deployment
    app: Deployment
    environment: dict[str, str]
    parameters: dict[str, Any]

    @property
    def whole(self) -> Deployment:
        """Both templates' resources, outputs and readable parameters."""
        return Deployment(
            [*self.main.resources, *self.app.resources],
            self.main.outputs | self.app.outputs,
            self.main.shown | self.app.shown,
        )


def up(variables: Mapping[str, str], infra: Path = INFRA) -> Production:
    """Return what `azd up` makes with these variables in azd's environment.

    Raises `TemplateError` where a template refuses them, or the parameter files do not fit.
    """
    known = {**_OF_AZD, **variables}
    of_main = parameters(infra / "main.parameters.json", known, infra / "main.bicep")
    main = deploy(infra / "main.bicep", of_main)
    known |= {name: str(_of_azure(value)) for name, value in main.outputs.items()}
    of_app = parameters(infra / "app.parameters.json", known)
    app = deploy(infra / "app.bicep", of_app)
    [container] = app.of("Microsoft.App/containerApps")
    secrets = {each["name"]: each["value"] for each in container["properties.configuration.secrets"]}
    [bot] = container["properties.template.containers"]
    environment = {
        each["name"]: str(secrets[each["secretRef"]] if "secretRef" in each else _of_azure(each["value"]))
        for each in bot["env"]
    }
    return Production(main, app, environment, of_app | of_main)


def parameters(file: Path, known: Mapping[str, str], template: Path | None = None) -> dict[str, Any]:
    """Return a parameter file's values, `${NAME=default}` replaced.

    Args:
        template: gives the types that azd converts the texts to: it does so for main.bicep only.

    Raises `TemplateError` where a value is not what the file, or the template, can hold: azd puts it in as it is.
    """
    text = _VARIABLE.sub(lambda found: known.get(found[1]) or found[2] or "", file.read_text())
    try:
        given = {name: each["value"] for name, each in json.loads(text)["parameters"].items()}
    except (ValueError, KeyError, TypeError) as error:
        raise TemplateError(f"{file.name} is not JSON any more: {error}") from None
    defaults = declared(template) if template else {}
    return {name: _converted(value, defaults.get(name)) for name, value in given.items()}


def variables_of(file: Path) -> dict[str, str | None]:
    """Return the variables that a parameter file names, and their defaults."""
    return {found[1]: found[2] for found in _VARIABLE.finditer(file.read_text())}


def _converted(value: Any, default: Any) -> Any:
    return int(value) if type(default) is int and re.fullmatch(r"-?[0-9]+", str(value)) else value


def _of_azure(value: Any) -> Any:
    if not isinstance(value, Later):
        return value
    known = [known for path, known in _OF_AZURE.items() if value.path.endswith(path)]
    if not known:
        raise TemplateError(f"{value} is nothing that the bot could be told")
    return known[0]
