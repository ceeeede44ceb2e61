"""Replicas of the real middleware, one storage and one channel, and every step that can happen next.

A step is told with a function that takes it, which is when the code of a process runs.

The channel delivers an activity again until a delivery of it is acknowledged, to any replica. What can go wrong,
as often as the scenario allows: what `calls` tells of the storage; a reply is refused, or shown and then refused;
a replica is killed at any moment, and what it was just saving or sending may still arrive, and a new process
takes its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial

from tests.exploration.actors import Answer, Change, Operation
from tests.exploration.asking import DONE, REFUSED, Request, Say, Sleep
from tests.exploration.calls import Storage, Store
from tests.exploration.mail import Place, Shown, State, again, exchanged, lost, replied
from tests.exploration.replicas import Event, Replicas
from tests.exploration.search import Step
from tests.exploration.turns import Turn

Steps = Iterator[tuple[Step, "Callable[[], State]"]]


@dataclasses.dataclass(frozen=True)
class Deployment:
    """The rules.

    Attributes:
        turns: by the names of their activities.
        replicas: what a process can do.
        times: the clock's readings to come.
        sleeps: how often a task may wait for time to pass. Turns can keep each other from ending for ever, if
            nobody ever is faster than the others; such schedules are followed so far.
        deliveries: how many deliveries of an activity there may be.
    """

    turns: Mapping[str, Turn]
    storage: Storage
    replicas: Replicas
    times: tuple[float, ...] = (0.0,)
    sleeps: int = 2
    deliveries: int = 4

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the activities."""
        return tuple(self.turns)

    def steps(self, state: State) -> Steps:
        """Every step possible in `state`, and the state after it."""
        yield from self.work(state)
        for at, change in enumerate(state.flying):
            store, landed = self.storage.apply(state.store, change)
            rest = self.storage.flying(store, state.flying[:at] + state.flying[at + 1 :])
            what = "lands" if landed else "is refused"
            yield ("a late write", what, change[0]), partial(state._replace, store=store, flying=rest)
        if state.crashes:
            for number, place in enumerate(state.places):
                if place.node is not self.replicas.root:
                    yield from self._crash(state, number)
        if state.time + 1 < len(self.times):
            yield ("time", "passes", ""), partial(self._wait, state, False)
            yield ("time", "passes, while what is being saved and sent arrives", ""), partial(self._wait, state, True)

    def work(self, state: State) -> Steps:
        """The steps without which something would never be finished."""
        for number, mail in enumerate(state.mail):
            for at, wanted in enumerate(mail.waiting if mail.delivered < self.deliveries else ()):
                for where in self._anywhere(state) if wanted < 0 else (wanted,):
                    yield self._deliver(state, number, at, where)
        for where, place in enumerate(state.places):
            for task, request in place.node.asked.items():
                if isinstance(request, Operation):
                    yield from self._call(state, where, task, request)
                elif isinstance(request, Say):
                    yield from self._say(state, where, task, request)
                elif isinstance(request, Sleep) and request.number <= self.sleeps:
                    yield self._named(where, task, "wakes"), partial(self._answered, state, where, task, DONE)

    def _anywhere(self, state: State) -> list[int]:
        """The replicas; of those that have just started, which are all alike, one."""
        new = Place(self.replicas.root)
        return [at for at, place in enumerate(state.places) if place != new or at == state.places.index(new)]

    def is_cut(self, state: State) -> bool:
        """Whether something is not followed any further."""
        asked = [request for place in state.places for request in place.node.asked.values()]
        return any(mail.waiting for mail in state.mail) or any(isinstance(request, Sleep) for request in asked)

    def _deliver(self, state: State, number: int, at: int, where: int) -> tuple[Step, Callable[[], State]]:
        mail = state.mail[number]
        delivery = f"{self.names[number]}{mail.delivered + 1}"
        mail = mail._replace(
            waiting=mail.waiting[:at] + mail.waiting[at + 1 :],
            running=(*mail.running, (delivery, where)),
            delivered=mail.delivered + 1,
            before=mail.before if mail.delivered else replied(state),
        )
        after = state._replace(mail=exchanged(state.mail, number, mail))
        return (
            ("the channel", f"delivers to replica {where}", delivery),
            partial(self._happened, after, where, Event(delivery, None, self.times[state.time])),
        )

    def _call(self, state: State, where: int, task: str, call: Operation) -> Steps:
        place = state.places[where]
        done = dict(place.calls).get(task, ())
        for taken in self.storage.steps(call, done, state.store, state.faults > 0):
            after = state._replace(
                store=taken.store,
                flying=self.storage.flying(taken.store, state.flying + taken.flying),
                faults=state.faults - taken.fault,
            )
            step = self._named(where, task, taken.what, taken.keys)
            if taken.answer is None:
                calls = tuple(sorted({**dict(place.calls), task: taken.done}.items()))
                yield step, partial(after._replace, places=exchanged(state.places, where, place._replace(calls=calls)))
            else:
                yield step, partial(self._answered, after, where, task, taken.answer)

    def _say(self, state: State, where: int, task: str, reply: Say) -> Steps:
        place, shown = state.places[where], self._show(state, task, reply)
        one = self._reply(task, reply)
        if one in place.said:
            shown = shown._replace(wrong=f"replica {where} sends {one} again, though the channel has taken it")
        known = shown._replace(places=exchanged(state.places, where, place._replace(said=place.said | {one})))
        yield self._named(where, task, "sends", reply.text), partial(self._answered, known, where, task, DONE)
        if state.faults:
            refused, late = (each._replace(faults=state.faults - 1) for each in (state, shown))
            yield (
                self._named(where, task, "sends, and is refused", reply.text),
                partial(self._answered, refused, where, task, REFUSED),
            )
            yield (
                self._named(where, task, "sends, is refused, and the user sees it", reply.text),
                partial(self._answered, late, where, task, REFUSED),
            )

    def _show(self, state: State, task: str, reply: Say) -> State:
        number = self.names.index(reply.turn)
        mail = state.mail[number]
        one = self._reply(task, reply)
        mail = mail._replace(shown=tuple(dict.fromkeys((*mail.shown, one))))
        return state._replace(mail=exchanged(state.mail, number, mail))

    def _reply(self, task: str, reply: Say) -> Shown:
        delivery = task.partition("/")[0]  # a reply is sent by a task of its own
        return (reply.turn if self.turns[reply.turn].writes else delivery), reply.text

    def _crash(self, state: State, where: int) -> Steps:
        """The process is gone. What it was saving may still arrive; what it was sending has arrived, or not."""
        place, step = state.places[where], (f"replica {where}", "is killed", "")
        dead = state._replace(
            places=exchanged(state.places, where, Place(self.replicas.root)),
            mail=tuple(lost(mail, where) for mail in state.mail),
            crashes=state.crashes - 1,
        )
        for store, left in self._orphaned(place, state.store):
            flying = self.storage.flying(store, state.flying + left)
            yield (
                (step if store is state.store else (*step[:2], "after its save")),
                partial(dead._replace, store=store, flying=flying),
            )
        for task, request in place.node.asked.items():
            if isinstance(request, Say):
                yield (
                    (step[0], f"is killed, and the user sees of {task}", request.text),
                    partial(self._show, dead, task, request),
                )

    def _orphaned(self, place: Place, store: Store) -> list[tuple[Store, tuple[Change, ...]]]:
        """What may become of the calls under way."""
        outcomes: list[tuple[Store, tuple[Change, ...]]] = [(store, ())]
        for task, request in place.node.asked.items():
            if isinstance(request, Operation):
                done = dict(place.calls).get(task, ())
                outcomes = [
                    (after, flying + left)
                    for before, flying in outcomes
                    for after, left in self.storage.orphaned(request, done, before)
                ]
        return outcomes

    def _wait(self, state: State, arrives: bool) -> State:
        """Time passes; turns for which it was too long are cancelled, and what they asked for arrives, or not."""
        state = state._replace(time=state.time + 1)
        for where, place in enumerate(state.places):
            state = self._happened(state, where, Event("", None, self.times[state.time]))
            asked = state.places[where].node.asked
            for task, request in place.node.asked.items():
                if task not in asked or asked[task] is not request:
                    state = self._given_up(state, where, task, request, arrives)
        return state

    def _given_up(self, state: State, where: int, task: str, request: Request, arrives: bool) -> State:
        place = state.places[where]
        done = dict(place.calls).get(task, ())
        left = place._replace(calls=tuple(item for item in place.calls if item[0] != task))
        state = state._replace(places=exchanged(state.places, where, left))
        if isinstance(request, Say) and arrives:
            return self._show(state, task, request)
        if isinstance(request, Operation):
            outcomes = list(self.storage.orphaned(request, done, state.store))
            store, changes = outcomes[-1 if arrives else 0]
            return state._replace(store=store, flying=self.storage.flying(store, state.flying + changes))
        return state

    def _answered(self, state: State, where: int, task: str, answer: Answer) -> State:
        place = state.places[where]
        calls = tuple(item for item in place.calls if item[0] != task)
        state = state._replace(places=exchanged(state.places, where, place._replace(calls=calls)))
        return self._happened(state, where, Event(task, answer, self.times[state.time]))

    def _happened(self, state: State, where: int, event: Event) -> State:
        place = state.places[where]
        node, ended = self.replicas.after(place.node, event)
        state = state._replace(places=exchanged(state.places, where, place._replace(node=node)))
        for delivery, how in ended.items():
            state = self._over(state, delivery, how)
        if node.hangs:
            state = state._replace(wrong=f"replica {where} waits for nothing")
        return state

    def _over(self, state: State, delivery: str, how: str) -> State:
        number = self.names.index(delivery[0])
        mail = state.mail[number]
        mail = mail._replace(running=tuple(each for each in mail.running if each[0] != delivery))
        if how == "acknowledged":
            mail = mail._replace(acknowledged=(*mail.acknowledged, delivery))
        elif how == "again":
            mail = again(mail)
        else:
            state = state._replace(wrong=f"{delivery} {how}")
        return state._replace(mail=exchanged(state.mail, number, mail))

    @staticmethod
    def _named(where: int, task: str, what: str, keys: str = "") -> Step:
        return f"{task} at replica {where}", what, keys
