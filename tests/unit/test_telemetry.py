"""What OpenTelemetry is told of turns, where the process has given it an SDK."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from botbuilder.core import TurnContext
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bots.state import ConversationState, UserState
from storage import ANY, Write
from storage.blob import BlobStorage
from storage.cosmos import CosmosStorage
from tests.contract.test_failing_services import storage_on
from tests.unit.turn_bench import Bench, C, InProcess, count, counting, losing


@pytest.fixture(scope="module")
def sdk() -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    """OpenTelemetry takes an SDK once in the life of a process."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return exporter, reader


@pytest.fixture
def spans(sdk: tuple[InMemorySpanExporter, InMemoryMetricReader]) -> Iterator[InMemorySpanExporter]:
    sdk[0].clear()
    yield sdk[0]
    sdk[0].clear()


def tree(finished: tuple[ReadableSpan, ...]) -> dict[str, list[str]]:
    """The names of the spans, each with those of its children in the order of their beginning."""
    names = {span.context.span_id: span.name for span in finished if span.context}
    found: dict[str, list[str]] = {}
    for span in sorted(finished, key=lambda span: span.start_time or 0):
        parent = names.get(span.parent.span_id, "") if span.parent else ""
        found.setdefault(parent, []).append(span.name)
    return found


def total(reader: InMemoryMetricReader, name: str) -> Any:
    """The sum of a counter, or the count of a histogram."""
    data = reader.get_metrics_data()
    points = [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]
    return sum(getattr(point, "value", None) or getattr(point, "count", 0) for point in points)


async def test_a_turn_is_a_span_around_its_load_logic_commit_and_replies(
    bench: Bench, spans: InMemorySpanExporter
) -> None:
    bot = InProcess(bench.storage, counting)
    await bot.run(bench.message("a secret"))
    await bot.turns.aclose()
    found = tree(spans.get_finished_spans())
    assert found["turn"] == ["load", "logic", "commit", "replies"]
    assert set(found["load"]) == {"storage.load"}
    assert found["commit"] == ["storage.save"]
    assert "secret" not in str([span.to_json() for span in spans.get_finished_spans()])


@pytest.mark.parametrize("backend", [BlobStorage, CosmosStorage])
async def test_a_request_to_a_service_is_no_span_of_its_own_that_would_tell_the_documents_name(
    spans: InMemorySpanExporter, backend: type[BlobStorage] | type[CosmosStorage]
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        if backend is CosmosStorage:
            return web.json_response({"code": "NotFound"}, status=404)
        return web.Response(status=404, headers={"x-ms-error-code": "BlobNotFound"})

    async with storage_on(backend, answer) as storage:
        assert await storage.load(["msteams/users/29:ada.lovelace"]) == {}
        await storage.save({"msteams/users/29:ada.lovelace": Write(None, ANY)})
    finished = spans.get_finished_spans()
    assert [span.name for span in finished] == ["storage.load", "storage.save"]
    told = str([span.to_json() for span in finished])
    for private in ("lovelace", "msteams", "http"):
        assert private not in told


@pytest.mark.parametrize(("said", "traces"), [({}, "False"), ({"AZURE_TRACING_ENABLED": "true"}, "True")])
def test_the_azure_sdks_trace_where_the_environment_says_so(said: dict[str, str], traces: str) -> None:
    start = """import app
from azure.core.settings import settings
async def serve(*_):
    print(settings.tracing_enabled())
app.serve = serve
app.main()"""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", start], env=said, cwd=root, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == [traces]


async def test_a_turn_that_raises_is_a_span_of_that_error_without_its_text(
    bench: Bench, spans: InMemorySpanExporter
) -> None:
    async def logic(context: TurnContext, conversation: ConversationState, _user: UserState) -> None:
        await count(context, conversation)
        raise LookupError("what Ada wrote")

    with pytest.raises(LookupError):
        await InProcess(bench.storage, logic).run(bench.message())
    told = {span.name: span.status.description for span in spans.get_finished_spans()}
    assert (told["turn"], told["logic"]) == ("LookupError", "LookupError")
    assert "Ada" not in str([span.to_json() for span in spans.get_finished_spans()])


async def test_turns_conflicts_replays_redeliveries_operations_and_sizes_are_counted(
    bench: Bench, sdk: tuple[InMemorySpanExporter, InMemoryMetricReader]
) -> None:
    names = ("bot.turns", "bot.turn.conflicts", "bot.turn.replays", "bot.turn.redeliveries")
    more = ("bot.storage.operation.duration", "bot.storage.document.size", "bot.queue.depth")
    before = {name: total(sdk[1], name) for name in (*names, *more)}
    storage = bench.storage
    bot, other = InProcess(storage, counting), await bench.of(counting)
    storage.before = losing(bench, other, times=1)
    message = bench.message()
    await bot.run(message)
    await bot.run(message)
    await bot.turns.aclose()
    grown = {name: total(sdk[1], name) - before[name] for name in (*names, *more)}
    assert grown["bot.turn.conflicts"] == grown["bot.turn.replays"] == grown["bot.turn.redeliveries"] == 1
    assert grown["bot.turns"] == 3  # the other's, this one, and its redelivery
    assert grown["bot.storage.operation.duration"] >= 4
    assert grown["bot.storage.document.size"] >= 2
    assert grown["bot.queue.depth"] == 0
    assert (await bench.storage.states())[C] == {"count": 2}
