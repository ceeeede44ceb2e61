"""Documents that expire: what is used is renewed, and what a lost conversation had decided stays decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botbuilder.core import TurnContext

from bots.state import ConversationState, UserState
from bots.turn.middleware import TurnTransaction
from bots.turn.protocol import Aborted, Committed, Limits, Runtime, Snapshot, begin, commit, tidy
from storage.contract import ABSENT, Write
from storage.expiry import Expiry
from storage.memory import MemoryStorage
from tests.unit.turns import USER, new_turn

if TYPE_CHECKING:
    from collections.abc import Mapping

C, D, E = "test/conversations/1", "test/users/ada", "test/users/bob"
B = "test/conversations/2"
DAY = 86_400.0
NOTHING_WAITS = Limits(patience=0, moment=0.0, pause=0.0)


class Store(MemoryStorage):
    """A store in memory whose clock a test sets, without transactions, as the services are."""

    transactional = False

    def __init__(self, expiry: Expiry) -> None:
        self.now = 1_000 * DAY
        super().__init__(expiry=expiry, clock=lambda: self.now)
        self.saved: list[str] = []
        self.dies_at: str | None = None

    async def save(self, writes: Mapping[str, Write]) -> dict[str, str]:
        if self.dies_at in writes:
            raise KeyboardInterrupt
        self.saved += writes
        return await super().save(writes)

    async def begin(self, activity: str, *keys: str, conversation: str = C) -> Snapshot:
        runtime = Runtime(wall=lambda: self.now, monotonic=lambda: 0.0, limits=NOTHING_WAITS)
        found = await begin(self, conversation, keys, activity, received=0.0, runtime=runtime)
        assert isinstance(found, Snapshot)
        return found

    async def turn(
        self, activity: str, changes: Mapping[str, Any], *keys: str, conversation: str = C, tidies: bool = True
    ) -> Snapshot:
        """A turn that commits, at the latest in its second attempt; with the documents it ran on."""
        for _ in range(2):
            found = await self.begin(activity, *keys, conversation=conversation)
            outcome = await commit(found, changes, [])
            if isinstance(outcome, Committed):
                break
            assert isinstance(outcome, Aborted)
        assert isinstance(outcome, Committed)
        if tidies:
            await tidy(outcome)
        return found

    async def crash(self, activity: str, changes: Mapping[str, Any], *keys: str) -> None:
        """A turn whose process ends between its note and its decision."""
        self.dies_at = C
        found = await self.begin(activity, *keys)
        with pytest.raises(KeyboardInterrupt):
            await commit(found, changes, [])
        self.dies_at = None

    async def state(self, key: str) -> Any:
        """What a turn of another conversation finds in a document."""
        return (await self.begin("reader", key, conversation=B)).documents[key]

    async def lives(self, *keys: str) -> set[str]:
        return set(await self.load(keys))


@pytest.fixture
def store() -> Store:
    return Store(Expiry.of_days(conversation=4, user=40))


class TestRenewal:
    async def test_what_turns_only_read_lives_on(self) -> None:
        store = Store(Expiry.of_days(conversation=4, user=4))
        await store.turn("a", {C: {"n": 1}, D: {"n": 1}}, D)
        for at in range(10):
            store.now += 2 * DAY
            await store.turn(f"r{at}", {}, D)

        assert (await store.begin("z", D)).documents == {C: {"n": 1}, D: {"n": 1}}

    async def test_a_user_lives_on_where_only_the_conversation_changes(self) -> None:
        store = Store(Expiry.of_days(conversation=4, user=4))
        await store.turn("a", {C: {"n": 1}, D: {"n": 1}}, D)
        for at in range(10):
            store.now += 2 * DAY
            await store.turn(f"c{at}", {C: {"n": at}}, D)

        assert await store.state(D) == {"n": 1}

    async def test_what_a_stock_bot_wrote_is_renewed_as_it_is(self, store: Store) -> None:
        await store.save({D: Write({"n": 1, "profile": {"py/object": "a.B", "name": "Ada"}}, ABSENT)})
        stored = (await store.load([D]))[D]
        store.now += 30 * DAY
        await store.turn("a", {}, D)
        store.now += 30 * DAY

        renewed = (await store.load([D]))[D]
        assert renewed.value == stored.value
        assert renewed.etag != stored.etag

    async def test_what_is_young_is_not_written(self, store: Store) -> None:
        await store.turn("a", {C: {"n": 1}, D: {"n": 1}}, D)
        store.saved.clear()
        store.now += 0.9 * DAY
        await store.turn("b", {}, D)
        assert store.saved == []
        store.now += 0.2 * DAY
        await store.turn("c", {}, D)
        assert store.saved == [C]

    async def test_a_version_that_is_no_more_is_not_renewed(self, store: Store) -> None:
        await store.turn("a", {D: {"n": 1}}, D)
        store.now += 20 * DAY
        slow = await commit(await store.begin("b", D), {}, [])
        await store.turn("c", {D: {"n": 2}}, D)
        assert isinstance(slow, Committed)
        await tidy(slow)
        assert await store.state(D) == {"n": 2}

    async def test_a_note_of_a_committed_turn_is_tidied_by_who_renews(self, store: Store) -> None:
        await store.turn("a", {D: {"n": 1}}, D, tidies=False)
        store.now += 20 * DAY
        await store.turn("b", {}, D, conversation=C)
        assert "undo" not in (await store.load([D]))[D].value["$turn"]
        assert await store.state(D) == {"n": 1}

    async def test_without_a_life_nothing_is_renewed(self) -> None:
        store = Store(Expiry())
        await store.turn("a", {C: {"n": 1}, D: {"n": 1}}, D)
        store.now += 4_000 * DAY
        store.saved.clear()
        await store.turn("b", {}, D)
        assert store.saved == []

    @pytest.mark.parametrize("transactional", [True, False])
    async def test_a_bot_that_only_reads_keeps_its_user(self, transactional: bool) -> None:
        store = Store(Expiry.of_days(conversation=4, user=4))
        store.transactional = transactional  # type: ignore[misc]
        conversation, user = states = ConversationState(store), UserState(store)
        turns = TurnTransaction(store, *states, runtime=Runtime(wall=lambda: store.now))
        seen: list[Any] = []
        await store.save({USER: Write({"name": "Ada"}, ABSENT)})

        for at in range(8):
            context = new_turn()
            context.activity.id = f"a{at}"

            async def logic(context: TurnContext = context) -> None:
                await conversation.create_property("n").get(context)
                seen.append(await user.create_property("name").get(context))

            await turns.on_turn(context, logic)
            await turns.aclose()
            store.now += 2 * DAY

        assert seen == ["Ada"] * 8


class TestNotesOfALostConversation:
    async def test_the_last_change_of_an_expired_conversation_stays(self, store: Store) -> None:
        await store.turn("a", {D: {"n": 1}}, D, tidies=False)
        store.now += 5 * DAY
        assert await store.lives(C, D) == {D}

        assert await store.state(D) == {"n": 1}
        await store.turn("b", {D: {"n": 2}}, D, conversation=B)
        assert await store.state(D) == {"n": 2}

    async def test_the_conversation_itself_finds_it(self, store: Store) -> None:
        await store.turn("a", {C: {"n": 1}, D: {"n": 1}}, D, tidies=False)
        store.now += 5 * DAY
        assert (await store.begin("b", D)).documents == {C: None, D: {"n": 1}}

    async def test_it_stays_when_the_conversation_begins_anew_without_that_user(self, store: Store) -> None:
        await store.turn("a", {D: {"n": 1}}, D, tidies=False)
        store.now += 5 * DAY
        await store.turn("b", {C: {"n": 2}, E: {"n": 2}}, E)
        store.now += 3 * DAY
        await store.turn("c", {C: {"n": 3}, E: {"n": 3}}, E)

        assert await store.state(D) == {"n": 1}

    async def test_a_turn_that_did_not_commit_is_undone_while_its_conversation_lives(self, store: Store) -> None:
        await store.turn("a", {C: {"n": 1}, D: {"n": 1}}, D)
        await store.crash("b", {D: {"n": 2}}, D)
        for at in range(10):
            store.now += 3 * DAY
            await store.turn(f"c{at}", {C: {"n": at}}, E)

        assert await store.state(D) == {"n": 1}

    async def test_a_turn_that_did_not_commit_is_undone_by_its_redelivery(self, store: Store) -> None:
        await store.crash("a", {C: {"n": 1}, D: {"n": 1}}, D)
        store.now += 15
        assert (await store.turn("a", {C: {"n": 2}}, D)).documents == {C: None, D: None}
        store.now += 5 * DAY
        assert await store.state(D) is None

    async def test_where_conversations_live_for_ever_nothing_is_presumed(self) -> None:
        store = Store(Expiry.of_days(user=40))
        await store.crash("a", {D: {"n": 1}}, D)
        store.now += 30 * DAY
        assert await store.state(D) is None

    async def test_an_untouched_conversation_says_for_sure_that_nothing_was_committed(self, store: Store) -> None:
        await store.write({C: {"n": 0}})  # a stock bot's
        await store.crash("a", {D: {"n": 1}}, D)
        store.now += 3 * DAY
        assert await store.state(D) is None
