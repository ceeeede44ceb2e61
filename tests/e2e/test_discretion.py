"""Nothing that the process writes holds a secret, or what people say and who they are; also when things fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from infra.local.bot_process import BotDidNotStartError, BotProcess
from infra.local.channel import Channel, Conversation
from tests.e2e.conftest import Environment, Start
from tests.e2e.test_guarded import ON_TEAMS, PASSWORD, token_for
from tests.internet import BOTS_TOKEN, Internet, internet
from tests.issuers import APP_ID

USER = "user-id-of-ada-lovelace"
SIGNATURE = "c2lnbmF0dXJlIG9mIHRoZSBhY2NvdW50"
TEXT = "my PIN is 4711-0815"
ROOT = Path(__file__).parents[2]
LEAKING = ("-m", "tests.e2e.leaking_bot")


class Said:
    """All that a bot's process has written and answered."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    async def tell(self, conversation: Conversation, text: str, bot: BotProcess, token: str | None = None) -> int:
        fields = ON_TEAMS if token else {}
        message = conversation.message(f"{text} {TEXT}", USER, **fields)
        answer = await conversation.channel.deliver(message, bot.url, token)
        self.answers.append(answer.text)
        return answer.status

    def assert_discreet(self, bot: BotProcess, conversation: Conversation, *secrets: str) -> None:
        everything = "\n".join([bot.start_line, bot.log, *self.answers])
        forms = [conversation.id, urllib.parse.quote(conversation.id), urllib.parse.quote(conversation.id, safe="")]
        for private in (USER, TEXT, "4711-0815", *forms, *secrets):
            assert private not in everything, private


@pytest.fixture
def machine(machine: Environment) -> Environment:
    """The same, for a program that is a module of the tests."""
    return machine | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(params=["text", "json"])
def log_format(request: pytest.FixtureRequest) -> Environment:
    return {"LOG_FORMAT": request.param}


async def test_a_conversation_with_failures_of_all_kinds_is_logged_without_what_was_said(
    machine: Environment, channel: Channel, start: Start, tmp_path: Path, log_format: Environment
) -> None:
    said, conversation, file = Said(), channel.conversation(), tmp_path / "state.db"
    environment = machine | log_format | {"STATE_STORAGE": "sqlite", "SQLITE_PATH": str(file)}
    async with start(environment, *LEAKING) as bot:
        for text in ("hello", "fail", "chain", "task"):
            assert await said.tell(conversation, text, bot) == 201
        with channel.refusing(400):
            assert await said.tell(conversation, "refused", bot) == 502
        for body in (b"{", b'{"text": "' + TEXT.encode(), TEXT.encode(), json.dumps({"text": TEXT}).encode()):
            said.answers.append(await _post(bot.url, body))
        # Unreadable: the bot's code fails with it. With its ETag, or the process would not read what it has written.
        _change(file, "UPDATE documents SET value = ?, etag = 'changed'", TEXT)
        assert await said.tell(conversation, "storage", bot) == 201
        _change(file, "DROP TABLE documents")
        assert await said.tell(conversation, "storage", bot) == 503
        base = bot.url.removesuffix("/api/messages")
        async with aiohttp.ClientSession() as http, http.get(f"{base}/readyz") as ready:
            said.answers.append(await ready.text())
        await bot.stop()
    said.assert_discreet(bot, conversation)
    for name in ("ValueError", "KeyError", "RuntimeError", "RepliesNotDelivered", "StorageUnavailable"):
        assert name in bot.log
    assert "a document cannot be read" in bot.log
    assert "leaking_bot.py" in bot.log


async def test_with_an_app_id_no_token_and_no_password_is_shown_and_no_text(
    machine: Environment, channel: Channel, start: Start, tmp_path: Path, log_format: Environment
) -> None:
    said, conversation = Said(), channel.conversation()
    async with internet(tmp_path) as net:
        identity = {"MicrosoftAppId": APP_ID, "MicrosoftAppPassword": PASSWORD, "STATE_STORAGE": "memory"}
        async with start(machine | net.environment | log_format | identity, *LEAKING) as bot:
            token = token_for(channel, net)
            await _with_strangers_and_a_failing_sign_in(said, conversation, bot, net, token)
            await bot.stop()
    said.assert_discreet(bot, conversation, PASSWORD, BOTS_TOKEN, *token.split("."))


async def _with_strangers_and_a_failing_sign_in(
    said: Said, conversation: Conversation, bot: BotProcess, net: Internet, token: str
) -> None:
    net.sign_in_status = 401
    assert await said.tell(conversation, "hello", bot, token) == 503
    net.sign_in_status = 200
    assert await said.tell(conversation, "hello", bot, token) == 201
    assert await said.tell(conversation, "fail", bot, token) == 201
    assert await said.tell(conversation, "hello", bot, token[:-9] + "AAAAAAAAA") == 401
    assert await said.tell(conversation, "hello", bot, "x" + token) == 401
    with conversation.channel.refusing(401):
        assert await said.tell(conversation, "refused", bot, token) == 502


@pytest.mark.blob
async def test_a_service_that_goes_away_is_told_without_its_key_or_the_documents_names(
    machine: Environment, channel: Channel, start: Start, blob_service: Environment, log_format: Environment
) -> None:
    said, conversation = Said(), channel.conversation()
    parts = dict(part.split("=", 1) for part in blob_service["BLOB_CONNECTION_STRING"].rstrip(";").split(";"))
    url = urllib.parse.urlsplit(parts["BlobEndpoint"])
    async with _forwarded(url.port or 80) as port:
        parts["BlobEndpoint"] = url._replace(netloc=f"127.0.0.1:{port}").geturl()
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        storage = {"STATE_STORAGE": "blob", "BLOB_CONNECTION_STRING": text, "STORAGE_CREATE": "true"}
        async with contextlib.AsyncExitStack() as stack:
            bot = await stack.enter_async_context(start(machine | log_format | storage, *LEAKING))
            assert await said.tell(conversation, "hello", bot) == 201
            await _close(port)
            assert await said.tell(conversation, "gone", bot) == 503
            await bot.stop()
    said.assert_discreet(bot, conversation, parts["AccountKey"])
    assert "StorageUnavailable" in bot.log


@pytest.mark.parametrize("details", ["false", "true"])
async def test_a_signature_in_the_storages_address_is_not_told_by_an_answer_that_is_not_http(
    machine: Environment, channel: Channel, start: Start, details: str, log_format: Environment
) -> None:
    said, conversation, service = Said(), channel.conversation(), _Impostor()
    async with service.listening() as port:
        environment = machine | log_format | _with_sas(port) | {"LOG_DETAILS": details}
        environment["ALLOW_UNAUTHENTICATED"] = "true"  # in production there is no page, which asks the storage too
        async with start(environment) as bot:
            service.answer = b"SSH-2.0-OpenSSH_9.2 nothing\r\n\r\n"
            assert await said.tell(conversation, "hello", bot) == 503
            base = bot.url.removesuffix("/api/messages")
            async with aiohttp.ClientSession() as http, http.get(f"{base}/readyz") as ready:
                said.answers.append(await ready.text())
                assert (ready.status, "not HTTP" in said.answers[-1]) == (503, True)
            await bot.stop()
        with pytest.raises(BotDidNotStartError) as refused:
            async with start(environment):
                pass
    said.answers.append(str(refused.value))
    assert "BLOB_CONNECTION_STRING" in said.answers[-1]
    everything = "\n".join([bot.start_line, bot.log, *said.answers])
    assert "StorageUnavailable" in bot.log
    assert SIGNATURE not in everything
    assert "sig=" not in everything


def _with_sas(port: int) -> Environment:
    sas = f"sv=2022-11-02&ss=b&srt=sco&sp=rwdl&se=2030-01-01T00:00:00Z&sig={SIGNATURE}%3D"
    text = f"BlobEndpoint=http://127.0.0.1:{port}/ada;SharedAccessSignature={sas}"
    return {"STATE_STORAGE": "blob", "BLOB_CONNECTION_STRING": text, "STORAGE_CREATE": "false"}


class _Impostor:
    """A Blob service with one container, until it is given another answer."""

    def __init__(self) -> None:
        self.answer = (
            b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "1"\r\nLast-Modified: Mon, 23 Nov 2026 02:00:00 GMT\r\n\r\n'
        )

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(self.answer)
                await writer.drain()
        writer.close()


async def test_azure_monitor_is_asked_for_no_logs_and_for_nothing_that_tells_the_addresses_of_requests(
    machine: Environment, start: Start, tmp_path: Path
) -> None:
    package = tmp_path / "packages/azure/monitor/opentelemetry"  # in the place of the one that the image has
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text(
        "import json, pathlib\n\n\ndef configure_azure_monitor(**asked):\n"
        "    pathlib.Path('asked.json').write_text(json.dumps(asked))\n"
    )
    connection = f"InstrumentationKey={SIGNATURE}"
    environment = machine | {"STATE_STORAGE": "memory", "APPLICATIONINSIGHTS_CONNECTION_STRING": connection}
    async with start(environment | {"PYTHONPATH": f"{tmp_path / 'packages'}:{ROOT}"}) as bot:
        await bot.stop()
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert (asked["connection_string"], asked["disable_logging"]) == (connection, True)
    assert asked["sampling_ratio"] == 1.0  # by default it samples the spans of a turn one by one
    for library in ("azure_sdk", "httpx", "httpx2", "requests", "urllib", "urllib3"):
        assert asked["instrumentation_options"][library] == {"enabled": False}
    assert SIGNATURE not in bot.start_line + bot.log


async def test_details_are_shown_to_who_asks_for_them(machine: Environment, channel: Channel, start: Start) -> None:
    said, conversation = Said(), channel.conversation()
    async with start(machine | {"STATE_STORAGE": "memory", "LOG_DETAILS": "true"}, *LEAKING) as bot:
        assert await said.tell(conversation, "fail", bot) == 201
        await bot.stop()
    assert "ValueError: cannot understand" in bot.log
    assert TEXT in bot.log


async def test_json_lines_have_the_turns_hash_name_attempts_and_conflicts(
    machine: Environment, channel: Channel, start: Start
) -> None:
    said, conversation = Said(), channel.conversation()
    async with start(machine | {"STATE_STORAGE": "memory", "LOG_FORMAT": "json"}, *LEAKING) as bot:
        for text in ("hello", "fail"):
            assert await said.tell(conversation, text, bot) == 201
        said.answers.append(await _post(bot.url, b"{"))
        await bot.stop()
    lines = [json.loads(line) for line in bot.log.splitlines()]
    assert [line["level"] for line in lines] == ["INFO", "ERROR", "INFO", "WARNING"]
    turn, failure, failed, refused = lines
    assert (turn["message"], turn["attempts"], turn["conflicts"]) == ("turn", 1, 0)
    assert turn["txn"]
    assert turn["ms"] >= 0
    assert turn["conversation"] == failure["conversation"] == failed["conversation"]
    assert len(turn["conversation"]) == 12
    assert "ValueError" in failure["exception"]
    assert refused["message"].startswith("400 /api/messages: the body is not JSON")
    assert "conversation" not in refused


async def _post(url: str, body: bytes) -> str:
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as answer:
        assert answer.status == 400
        return await answer.text()


def _change(file: Path, statement: str, *values: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(statement, values)


_FORWARDERS: dict[int, tuple[asyncio.Server, list[asyncio.StreamWriter]]] = {}


@contextlib.asynccontextmanager
async def _forwarded(to: int) -> AsyncIterator[int]:
    """Forward a port to another until `_close`."""
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
        writers.extend((writer, far_writer))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    _FORWARDERS[port] = server, writers
    try:
        yield port
    finally:
        await _close(port)


async def _close(port: int) -> None:
    server, writers = _FORWARDERS[port]
    server.close()
    for writer in writers:
        writer.transport.abort()
