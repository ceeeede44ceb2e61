"""Refuses settings of the azd environment that cannot work together, before anything is deployed.

azd runs it (azure.yaml) with its environment's variables; by hand: `python infra/preflight.py`. What is wrong is said
on stderr, a sentence a line, and the exit code is 1. main.bicep refuses the same for whoever deploys without azd.
With `deploy` it also refuses to deploy the app with choices that were made after the last `azd provision`.

azd writes the values into JSON as they are, and app.bicep takes them as texts: so their spelling matters here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

DAYS = 24_855  # the most that the seconds of an item's ttl, a 32-bit number, can hold
REPLICAS = 1_000
_NUMBERS = {
    "COSMOS_MAX_THROUGHPUT": (0, 0, 1_000_000),
    "MIN_REPLICAS": (2, 1, REPLICAS),
    "MAX_REPLICAS": (10, 1, REPLICAS),
    "EXPIRE_CONVERSATION_DAYS": (0, 0, DAYS),
    "EXPIRE_PRIVATE_DAYS": (0, 0, DAYS),
    "EXPIRE_USER_DAYS": (0, 0, DAYS),
}  # the default, the least and the most
_CHOICES = {
    "STORAGE_BACKEND": ("cosmos", "blob"),
    "COSMOS_MODE": ("serverless", "autoscale"),
    "STORAGE_SKU": ("Standard_ZRS", "Standard_LRS"),
    "BOT_APP_TYPE": ("UserAssignedMSI", "SingleTenant"),
}  # the first is the default
_GUIDS: Final = ("BOT_APP_ID", "DEVELOPER_PRINCIPAL_ID")
_GUID: Final = re.compile("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_IN_JSON: Final = re.compile(r'[^"\\\x00-\x1f]*')


def problems(env: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for everything that is wrong in `env`; an empty variable counts as unset."""
    given = {name: value for name, value in env.items() if value}
    chosen = {name: given.get(name, choices[0]) for name, choices in _CHOICES.items()}
    for name, choices in _CHOICES.items():
        if chosen[name] not in choices:
            gone = (
                "MultiTenant registrations cannot be created since 2025-07-31; "
                if chosen[name] == "MultiTenant"
                else ""
            )
            yield f"{gone}{name} must be one of {', '.join(choices)}."
    numbers: dict[str, int] = {}
    for name, (default, least, most) in _NUMBERS.items():
        text = given.get(name, str(default))
        if re.fullmatch("0|[1-9][0-9]{0,8}", text) and least <= int(text) <= most:
            numbers[name] = int(text)
        else:
            yield f"{name} must be a whole number from {least} to {most}."
    for name in _GUIDS:
        if name in given and not _GUID.fullmatch(given[name]):
            yield f"{name} must be a GUID, as 11111111-2222-3333-4444-555555555555."
    password = given.get("BOT_APP_PASSWORD", "")
    if password != password.strip() or not _IN_JSON.fullmatch(password):
        yield "BOT_APP_PASSWORD must have no quotation mark, backslash or line break in it, and no space at its ends."
    yield from _together(given, chosen, numbers)


def _together(given: Mapping[str, str], chosen: Mapping[str, str], numbers: Mapping[str, int]) -> Iterator[str]:
    throughput = numbers.get("COSMOS_MAX_THROUGHPUT", 0)
    if throughput and chosen["COSMOS_MODE"] == "serverless":
        yield "COSMOS_MAX_THROUGHPUT is for COSMOS_MODE=autoscale: serverless has no throughput to set."
    if throughput % 1000:
        yield "COSMOS_MAX_THROUGHPUT must be a multiple of 1000."
    if numbers.get("MIN_REPLICAS", 0) > numbers.get("MAX_REPLICAS", REPLICAS):
        yield "MIN_REPLICAS is above MAX_REPLICAS."
    own = [name for name in ("BOT_APP_ID", "BOT_APP_PASSWORD") if given.get(name)]
    if chosen["BOT_APP_TYPE"] == "SingleTenant" and len(own) < 2:
        yield "BOT_APP_TYPE=SingleTenant needs BOT_APP_ID and BOT_APP_PASSWORD, those of your app registration."
    if chosen["BOT_APP_TYPE"] == "UserAssignedMSI" and own:
        yield f"{' and '.join(own)} would not be used: BOT_APP_TYPE=UserAssignedMSI has no password and its own id."


def unprovisioned(env: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for what `env` chooses and the last `azd provision` did not make; nothing before the first."""
    if not env.get("BOT_APP_NAME"):
        return
    backend = env.get("STORAGE_BACKEND") or "cosmos"
    if not env.get("BOT_BLOB_ACCOUNT_URL" if backend == "blob" else "BOT_COSMOS_ENDPOINT"):
        yield f"STORAGE_BACKEND is {backend}, which is not there yet: run `azd provision` first."
    if env.get("BOT_APP_TYPE") == "SingleTenant" and env.get("BOT_CLIENT_ID") != env.get("BOT_APP_ID"):
        yield "BOT_APP_ID is not that of the Azure Bot: run `azd provision` first."


def main(arguments: Sequence[str]) -> int:
    """Check the process's environment; return the exit code."""
    found = [*problems(os.environ), *(unprovisioned(os.environ) if arguments == ["deploy"] else ())]
    for sentence in found:
        print(f"state bot: {sentence}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
