"""Who is compared on which backend, and the services that they need."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager

from demos.bench.channel import Channel
from demos.bench.runs import Entrant, python_module
from demos.scale_out import create
from infra.local import emulators
from tests.internet import Internet
from tests.issuers import APP_ID, channel_claims

BACKENDS = ("memory", "sqlite", "blob", "cosmos")
BOTS = ("ours", "framework", "floor", "stock", "successor")


@contextmanager
def service(backend: str) -> Iterator[Mapping[str, str]]:
    """Yield the environment of a backend whose service runs. Raises `EmulatorError` where it does not start."""
    if backend == "blob":
        with emulators.azurite() as given:
            yield given
    elif backend == "cosmos":
        with emulators.cosmos() as given:
            yield given
    else:
        yield {"STATE_STORAGE": backend}


async def entrants(
    chosen: Container[str],
    base: Mapping[str, str],
    channel: Channel,
    *,
    net: Internet | None = None,
    peers: str | None = None,
) -> list[Entrant]:
    """Return those of the chosen bots that can run on a backend, ours first, each with a store of its own.

    Args:
        chosen: names of `BOTS`.
        base: the environment of the backend, from `service`.
        net: where tokens come from: with it, ours runs a second time, every request with a token.
        peers: the interpreter that has the successor SDK, or None without it.
    """
    backend = base["STATE_STORAGE"]

    def own(store: str) -> dict[str, str]:
        places = {"BLOB_CONTAINER": store, "COSMOS_CONTAINER": store, "SQLITE_PATH": "state.db"}
        return {"PATH": os.environ["PATH"], **base, **places}

    def program(name: str) -> tuple[str, ...]:
        return python_module("demos.bench.programs", name)

    found = [Entrant("ours", own("ours"), program("ours"))]
    if net:
        token = net.channels.sign(channel_claims(channel.service_url))
        identity = {**net.environment, "MicrosoftAppId": APP_ID, "MicrosoftAppPassword": "of~the~bench"}
        known = own("known") | identity
        found.append(Entrant("ours, token", known, program("ours"), channel_id="msteams", token=token))
    found += [Entrant(name, own(name), program(name)) for name in ("framework", "floor")]
    if backend != "sqlite":  # the SDKs have no storage in a file
        found.append(Entrant("stock", own("stock"), program("stock")))
        if peers:
            successor = python_module("demos.bench.successor", python=peers)
            found.append(Entrant("successor", own("successor"), successor))
    found = [bot for bot in found if bot.name.partition(",")[0] in chosen]
    for bot in found:
        if backend in ("blob", "cosmos"):
            await create({**bot.environment, "STORAGE_CREATE": "true"})
    return found
