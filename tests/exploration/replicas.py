"""All that a process can do, as a graph: its nodes are found by running real processes, and walked without them.

A process cannot be copied, but it is a function of what happened to it. What happened is replayed where no live
process stands at a node. Two histories lead to the same node where no task can tell them apart.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from tests.exploration.actors import Answer
from tests.exploration.asking import Request
from tests.exploration.process import Process, Program
from tests.exploration.turns import Turn

_LIVE: Final = 200  # processes that are kept where they stand


class Event(NamedTuple):
    """What happens to a process: an answer to what a task has asked, or a delivery (None) of a turn, by name.

    If neither is named, some time passes.
    """

    who: str
    answer: Answer | None
    now: float


class Node:
    """A process at a certain point. `asked` tells what its tasks wait for."""

    __slots__ = ("after", "asked", "before", "hangs")

    def __init__(self, process: Process, before: tuple[Node, Event] | None) -> None:
        self.asked: Mapping[str, Request] = dict(process.asked)
        self.hangs = process.hangs
        self.before = before
        self.after: dict[Event, tuple[Node, Mapping[str, str]]] = {}


class Replicas:
    """The graph. Attributes: `root`, a process that has just started; `runs`, how many steps were run for real."""

    def __init__(self, program: Program, turns: Mapping[str, Turn]) -> None:
        self._program = program
        self._turns = turns
        self._nodes: dict[object, Node] = {}
        self._live: OrderedDict[Node, Process] = OrderedDict()
        self.runs = 0
        process = Process(program)
        self.root = self._nodes[process.fingerprint()] = Node(process, None)

    @property
    def found(self) -> int:
        """The number of nodes found so far."""
        return len(self._nodes)

    def after(self, node: Node, event: Event) -> tuple[Node, Mapping[str, str]]:
        """The node that the event leads to, and how deliveries ended on the way."""
        if event not in node.after:
            process = self._live.pop(node, None) or self._replayed(node)
            self._happen(process, event)
            found = process.fingerprint()
            following = self._nodes.setdefault(found, Node(process, (node, event)))
            node.after[event] = following, dict(process.ended)
            process.ended.clear()
            self._keep(following, process)
        return node.after[event]

    def close(self) -> None:
        """End the processes."""
        while self._live:
            self._live.popitem()[1].kill()

    def _keep(self, node: Node, process: Process) -> None:
        if node in self._live:
            process.kill()
            return
        self._live[node] = process
        if len(self._live) > _LIVE:
            self._live.popitem(last=False)[1].kill()

    def _replayed(self, node: Node) -> Process:
        events = []
        while node.before is not None:
            node, event = node.before
            events.append(event)
        process = Process(self._program)
        for event in reversed(events):
            self._happen(process, event)
        process.ended.clear()
        return process

    def _happen(self, process: Process, event: Event) -> None:
        self.runs += 1
        if not event.who:
            process.wait(event.now)
        elif event.answer is None:
            process.deliver(event.who, self._turns[event.who[0]], event.now)
        else:
            process.answer(event.who, event.answer, event.now)
