"""The floor: a bare aiohttp handler with the storage operations and replies of our turns, and nothing in between.

It reads the user's document, and the conversation's the first time, changes one or both, writes in the order of our
commit (conditional on the versions that were read), and posts the sample's replies. No bot, no turn, no checks.
"""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any, Final

from aiohttp import ClientSession, TCPConnector, web

from config import Settings, environment
from demos.bench.floor_stores import Held, Store, open_store

_NAME: Final = {"UserProfile": {"name": "Ada"}}


class Handler:
    """The handler of `POST /api/messages`."""

    def __init__(self, store: Store, session: ClientSession, workload: str) -> None:
        self._store = store
        self._session = session
        self._turn = {"ordinary": self._ordinary, "both": self._both}[workload]
        self._later: dict[str, asyncio.Task[Any]] = {}
        self._last: dict[str, Held] = {}  # what it has written of each conversation: it is not loaded again

    async def post(self, request: web.Request) -> web.Response:
        activity = json.loads(await request.read())
        channel = activity["channelId"]
        keys = (
            f"{channel}/users/{activity['from']['id']}",
            f"{channel}/conversations/{activity['conversation']['id']}",
        )
        for text in await self._turn(activity, *keys):
            await self._reply(activity, text)
        return web.Response(status=201)

    async def _ordinary(self, activity: dict[str, Any], user: str, conversation: str) -> tuple[str, ...]:
        found = await self._load(user, conversation)
        name = (found[user].state or _NAME)["UserProfile"]["name"]
        time, channel = activity["localTimestamp"], activity["channelId"]
        state = {"ConversationData": {"timestamp": time, "channel_id": channel}}
        changed = {conversation: found[conversation]._replace(state=state)}
        if found[user].state is None:  # only the first time: to find none would cost more than to read one
            changed[user] = found[user]._replace(state=_NAME)
        await self._commit(changed, user)
        return f"{name} sent: {activity['text']}", f"Message received at: {time}", f"Message received from: {channel}"

    async def _both(self, _activity: dict[str, Any], user: str, conversation: str) -> tuple[str, ...]:
        found = await self._load(user, conversation)
        changed = {
            key: held._replace(state={"Count": (held.state or {"Count": 0})["Count"] + 1})
            for key, held in found.items()
        }
        await self._commit(changed, user)
        return ("{} {}".format(*(held.state["Count"] for held in changed.values() if held.state)),)

    async def _load(self, user: str, conversation: str) -> dict[str, Held]:
        if tidying := self._later.pop(user, None):
            await tidying
        if conversation not in self._last:
            return await self._store.load((user, conversation))
        return {**await self._store.load((user,)), conversation: self._last[conversation]}

    async def _commit(self, changed: dict[str, Held], user: str) -> None:
        if self._store.transactional or user not in changed:
            await self._save(changed)
            return
        noted = changed[user]
        etag = (await self._store.save({user: noted}))[user]
        await self._save({key: held for key, held in changed.items() if key != user})
        self._later[user] = asyncio.create_task(self._store.save({user: noted._replace(etag=etag)}))

    async def _save(self, documents: dict[str, Held]) -> None:
        etags = await self._store.save(documents)
        self._last |= {key: held._replace(etag=etags[key]) for key, held in documents.items()}

    async def _reply(self, activity: dict[str, Any], text: str) -> None:
        await self._send(
            {
                "type": "message",
                "channelId": activity["channelId"],
                "serviceUrl": activity["serviceUrl"],
                "conversation": activity["conversation"],
                "from": activity["recipient"],
                "recipient": activity["from"],
                "replyToId": activity["id"],
                "locale": activity["locale"],
                "inputHint": "acceptingInput",
                "text": text,
            }
        )

    async def _send(self, reply: dict[str, Any]) -> None:
        path = f"/v3/conversations/{reply['conversation']['id']}/activities/{reply['replyToId']}"
        async with self._session.post(
            reply["serviceUrl"] + path,
            data=json.dumps(reply).encode(),
            headers={"Content-Type": "application/json"},
        ) as answer:
            await answer.read()


def main(workload: str, handler: type[Handler] = Handler) -> int:
    """Run it from the environment until SIGTERM; return the exit code."""
    asyncio.run(_serve(Settings.from_env(environment()), workload, handler))
    return 0


async def _serve(settings: Settings, workload: str, handler: type[Handler]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_store(settings) as store, ClientSession(connector=TCPConnector(limit=0)) as session:
        application = web.Application()
        application.router.add_post("/api/messages", handler(store, session, workload).post)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        print(f"Floor on http://{settings.host}:{runner.addresses[0][1]}/api/messages", flush=True)
        await stop.wait()
        await runner.cleanup()
