"""Any sequence of calls, on every backend, leaves what a plain dict with version numbers says it should."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from storage import ABSENT, ANY, Document, StateStorage, StorageConflict, Write
from tests.conftest import Connect

EXAMPLES: Final = {"memory": 100, "sqlite": 40, "blob": 8, "cosmos": 8}
KEYS: Final = ["a", "a/b|c", "~Ω\t2"]
VALUES: Final = st.one_of(st.none(), st.fixed_dictionaries({"n": st.integers(0, 3)}))
EXPECTATIONS: Final = st.sampled_from(["absent", "any", "current", "stale"])


class Model(RuleBasedStateMachine):
    """Calls the storage and a dict alike; between examples the store is emptied."""

    def __init__(self, runner: asyncio.Runner, connect: Connect) -> None:
        super().__init__()
        self._runner = runner
        self._connect = connect
        self._model: dict[str, Document] = {}
        self._past: set[str] = {'"0x1"'}  # ETags that no document has any more
        self._storage: StateStorage = self._run(self._connect().__aenter__())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    @rule(changes=st.dictionaries(st.sampled_from(KEYS), st.tuples(VALUES, EXPECTATIONS), max_size=3))
    def save(self, changes: dict[str, tuple[dict[str, Any] | None, str]]) -> None:
        writes = {key: Write(value, self._expect(key, value, how)) for key, (value, how) in changes.items()}
        bad = {key for key, write in writes.items() if not self._holds(key, write)}
        try:
            etags = self._run(self._storage.save(writes))
        except StorageConflict as conflict:
            assert bad >= {conflict.key}  # noqa: PT017 - whether it conflicts is the model's to say, call by call
            applied = {} if self._storage.transactional else {k: w for k, w in writes.items() if k not in bad}
            etags = {key: document.etag for key, document in self._run(self._storage.load(applied)).items()}
        else:
            assert not bad
            applied = writes
        assert etags.keys() == {key for key, write in applied.items() if write.value is not None}
        self._apply(applied, etags)

    @rule()
    def reopen(self) -> None:
        self._run(self._storage.aclose())
        self._storage = self._run(self._connect().__aenter__())

    @invariant()
    def the_storage_holds_what_the_model_holds(self) -> None:
        assert self._run(self._storage.load(KEYS)) == self._model

    def teardown(self) -> None:
        self._run(self._storage.save({key: Write(None, ANY) for key in KEYS}))
        self._run(self._storage.aclose())

    def _expect(self, key: str, value: object, how: str) -> Any:
        document = self._model.get(key)
        if how == "current" and document:
            return document.etag
        if how == "absent" and value is not None:
            return ABSENT
        return ANY if how == "any" else sorted(self._past)[-1]

    def _holds(self, key: str, write: Write) -> bool:
        document = self._model.get(key)
        if write.expect is ANY:
            return True
        return document is None if write.expect is ABSENT else bool(document and document.etag == write.expect)

    def _apply(self, writes: dict[str, Write], etags: dict[str, str]) -> None:
        assert not self._past & {*etags.values()}
        for key, write in writes.items():
            if key in self._model:
                self._past.add(self._model.pop(key).etag)
            if write.value is not None:
                self._model[key] = Document(dict(write.value), etags[key])
        assert not self._past & {*etags.values()}


def test_every_sequence_of_calls_is_as_on_a_dict(backend: str, connect: Connect) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        run_state_machine_as_test(
            lambda: Model(runner, connect),  # type: ignore[arg-type]  # any factory will do
            settings=settings(
                max_examples=EXAMPLES[backend],
                stateful_step_count=20,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
