"""What a person may say to azd: the files agree about it, and what cannot work is refused before anything is made."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from infra.preflight import problems
from tests.infra.bicep import TemplateError
from tests.infra.conftest import Break
from tests.infra.production import INFRA, OWN_REGISTRATION, ROOT, up, variables_of
from tests.infra.template import declared, deploy

SET_BY_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "SERVICE_APP_IMAGE_NAME"}
REFUSED = {
    "serverless with throughput": ({"COSMOS_MAX_THROUGHPUT": "4000"}, "serverless has no throughput"),
    "odd throughput": ({"COSMOS_MODE": "autoscale", "COSMOS_MAX_THROUGHPUT": "1500"}, "multiple of 1000"),
    "min above max": ({"MIN_REPLICAS": "5", "MAX_REPLICAS": "4"}, "is above"),
    "no replica": ({"MIN_REPLICAS": "0"}, "MIN_REPLICAS|minReplicas"),
    "MultiTenant": ({"BOT_APP_TYPE": "MultiTenant"}, "UserAssignedMSI"),
    "a registration without an id": ({**OWN_REGISTRATION, "BOT_APP_ID": ""}, "needs"),
    "a registration without a password": ({**OWN_REGISTRATION, "BOT_APP_PASSWORD": ""}, "needs"),
    "a password for an identity": ({"BOT_APP_PASSWORD": "x"}, "UserAssignedMSI|are for"),
    "an unknown storage": ({"STORAGE_BACKEND": "sqlite"}, "cosmos"),
    "an unknown redundancy": ({"STORAGE_SKU": "Premium_LRS"}, "Standard_ZRS"),
    "an unknown mode": ({"COSMOS_MODE": "free"}, "serverless"),
    "a negative expiry": ({"EXPIRE_USER_DAYS": "-1"}, "EXPIRE_USER_DAYS|expireUserDays"),
    "an expiry past the ttl": ({"EXPIRE_CONVERSATION_DAYS": "30000"}, "24855"),
}


@pytest.mark.parametrize(("variables", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_by_the_preflight_with_a_sentence(variables: dict[str, str], said: str) -> None:
    found = list(problems(variables))
    assert found
    assert re.search(said, " ".join(found))
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in found)


@pytest.mark.parametrize(("variables", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_by_the_first_template_too(variables: dict[str, str], said: str) -> None:
    with pytest.raises(TemplateError, match=said) as refused:
        up(variables)
    assert "main.bicep" in str(refused.value)


def mismatches(infra: Path) -> list[str]:
    """What the parameter files say that the templates do not, and the other way round."""
    found = []
    for name in ("main", "app"):
        known, given = declared(infra / f"{name}.bicep"), json.loads((infra / f"{name}.parameters.json").read_text())
        found += [f"{name}: {each} is not the template's" for each in given["parameters"].keys() - known.keys()]
        found += [f"{name}: {each} cannot be said" for each in known.keys() - given["parameters"].keys()]
        for parameter, default in known.items():
            said = re.fullmatch(r"\$\{(\w+)=(.*)\}", str(given["parameters"].get(parameter, {}).get("value")))
            if said and said[2] != str(default):
                found.append(f"{name}: {parameter} is {default} by default, {said[2]} in the file")
    outputs = deploy(infra / "main.bicep", {"environmentName": "e", "location": "l"}).outputs
    said_by_people = variables_of(infra / "main.parameters.json").keys()
    unknown = variables_of(infra / "app.parameters.json").keys() - outputs.keys() - said_by_people - SET_BY_AZD
    return found + [f"app: nobody sets {each}" for each in unknown]


def test_the_parameter_files_are_those_of_the_templates() -> None:
    assert mismatches(INFRA) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("main.parameters.json", '"cosmosMode"', '"mode"', "mode is not"),
        ("main.parameters.json", "MAX_REPLICAS=10", "MAX_REPLICAS=12", "maxReplicas"),
        ("main.bicep", "output BOT_APP_NAME", "output BOT_NAME", "BOT_APP_NAME"),
        (
            "app.bicep",
            "param blobContainer string = ''",
            "param blobContainer string = ''\nparam more string = ''",
            "more",
        ),
    ],
)
def test_a_copy_whose_files_do_not_agree_is_found(broken: Break, file: str, old: str, new: str, said: str) -> None:
    try:
        found = mismatches(broken(file, old, new))
    except TemplateError as error:
        found = [str(error)]
    assert said in " ".join(found)


def test_the_documentation_names_every_variable_that_a_person_may_set() -> None:
    text = (INFRA / "README.md").read_text()
    assert [name for name in variables_of(INFRA / "main.parameters.json") if f"`{name}`" not in text] == []


def azd_problems(file: Path) -> list[str]:
    """What azure.yaml names that is not there."""
    project = yaml.safe_load(file.read_text())
    infra, [service] = ROOT / project["infra"]["path"], project["services"]
    app = project["services"][service]
    wanted = [
        infra / f"{project['infra']['module']}.bicep",
        infra / f"{service}.bicep",
        infra / f"{service}.parameters.json",
    ]
    wanted += [ROOT / app["project"] / app["docker"]["path"]]
    for hook in project["hooks"].values():
        wanted += [ROOT / system["run"].split()[1] for system in hook.values()]
    missing = [f"{path} is not there" for path in wanted if not path.is_file()]
    for hook, arguments in {"preprovision": [], "predeploy": ["deploy"]}.items():
        said = [system["run"].split()[2:] for system in project["hooks"].get(hook, {}).values()]
        missing += [] if said == [arguments, arguments] else [f"{hook} does not check"]
    if project["requiredVersions"]["azd"] != ">= 1.23.2":
        missing.append("older versions of azd do not deploy a Bicep file of a service")
    return missing


def test_azd_finds_what_its_project_names() -> None:
    assert azd_problems(ROOT / "azure.yaml") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  app:", "  bot:"),
        ("infra/Dockerfile", "Dockerfile"),
        ("preflight.py", "check.py"),
        ("preprovision", "postup"),
        ("preflight.py deploy", "preflight.py"),
        (">= 1.23.2", ">= 1.20.0"),
    ],
)
def test_a_project_that_names_something_else_is_found(tmp_path: Path, old: str, new: str) -> None:
    copy = tmp_path / "azure.yaml"
    copy.write_text((ROOT / "azure.yaml").read_text().replace(old, new))
    assert azd_problems(copy)
