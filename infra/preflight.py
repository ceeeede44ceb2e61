"""Refuses settings of the azd environment that cannot work together, before anything is deployed.

azd runs it (azure.yaml) with its environment's variables; by hand: `python infra/preflight.py`. What is wrong is said
on stderr, a sentence a line, and the exit code is 1. main.bicep refuses the same for whoever deploys without azd.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

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


def problems(env: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for everything that is wrong in `env`; an empty variable counts as unset."""
    given = {name: value.strip() for name, value in env.items() if value.strip()}
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
        if text.isascii() and text.isdigit() and least <= int(text[:9]) <= most:
            numbers[name] = int(text)
        else:
            yield f"{name} must be a whole number from {least} to {most}."
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


def main() -> int:
    """Check the process's environment; return the exit code."""
    found = list(problems(os.environ))
    for sentence in found:
        print(f"state bot: {sentence}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
