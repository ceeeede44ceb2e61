"""`azd up` on paper: both templates with the parameters that azd would hand them, and what the container is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.infra.bicep import Later
from tests.infra.template import Deployment, declared, deploy

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
    "properties.documentEndpoint": "https://name.documents.azure.com:443/",
    "properties.primaryEndpoints.blob": "https://name.blob.core.windows.net/",
    "properties.loginServer": "name.azurecr.io",
    "properties.ConnectionString": f"InstrumentationKey={CLIENT_ID};IngestionEndpoint=https://region.in.example.net/",
}
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Production:
    """What is deployed, and the environment of the bot's process, secrets included."""

    main: Deployment
    app: Deployment
    environment: dict[str, str]

    @property
    def whole(self) -> Deployment:
        """Both templates' resources."""
        return Deployment([*self.main.resources, *self.app.resources], self.main.outputs)


def up(variables: Mapping[str, str], infra: Path = INFRA) -> Production:
    """Return what `azd up` makes with these variables in azd's environment.

    Raises `TemplateError` where a template refuses them, or the parameter files do not fit.
    """
    known = {**_OF_AZD, **variables}
    main = deploy(infra / "main.bicep", parameters(infra / "main.parameters.json", known, infra / "main.bicep"))
    known |= {name: str(_of_azure(value)) for name, value in main.outputs.items()}
    app = deploy(infra / "app.bicep", parameters(infra / "app.parameters.json", known))
    [container] = app.of("Microsoft.App/containerApps")
    secrets = {each["name"]: each["value"] for each in container["properties.configuration.secrets"]}
    [bot] = container["properties.template.containers"]
    environment = {
        each["name"]: str(secrets[each["secretRef"]] if "secretRef" in each else _of_azure(each["value"]))
        for each in bot["env"]
    }
    return Production(main, app, environment)


def parameters(file: Path, known: Mapping[str, str], template: Path | None = None) -> dict[str, Any]:
    """Return a parameter file's values, `${NAME=default}` replaced.

    Args:
        template: gives the types that azd converts the texts to: it does so for main.bicep only.
    """
    text = _VARIABLE.sub(lambda found: json.dumps(known.get(found[1]) or found[2] or "")[1:-1], file.read_text())
    given = {name: each["value"] for name, each in json.loads(text)["parameters"].items()}
    defaults = declared(template) if template else {}
    return {name: int(value) if type(defaults.get(name)) is int else value for name, value in given.items()}


def variables_of(file: Path) -> dict[str, str | None]:
    """Return the variables that a parameter file names, and their defaults."""
    return {found[1]: found[2] for found in _VARIABLE.finditer(file.read_text())}


def _of_azure(value: Any) -> Any:
    if isinstance(value, Later):
        return next(known for path, known in _OF_AZURE.items() if value.path.endswith(path))
    return value
