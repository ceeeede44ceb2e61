"""An event loop that does nothing by itself: what runs next, and what time it is, is decided by the exploration."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

Shared = Callable[[], object]


class Work:
    """A task as the exploration knows it.

    Attributes:
        name: that of the delivery it belongs to, and a number where a task has started it.
        chain: stands for everything that the task can know. It grows at each step by what the task could see.
        names: how many names of attempts the task has taken.
        sleeps: how often it has waited for time to pass.
        started: how many tasks it has started.
    """

    def __init__(self, name: str, chain: int) -> None:
        self.name = name
        self.chain = chain
        self.names = 0
        self.sleeps = 0
        self.started = 0


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that tells before each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], step: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._step = step

    def send(self, value: Any) -> Any:
        self._step()
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        self._step()
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()


class Loop(asyncio.AbstractEventLoop):
    """Runs what is ready, in order, until everything waits. asyncio's own tasks, locks and timeouts run on it.

    Attributes:
        now: the time in seconds, which stands still.
        shared: describes what the tasks of the process have in common.
        alive: the tasks that have not ended.
    """

    def __init__(self, shared: Shared) -> None:
        self.now = 0.0
        self.shared = shared
        self.alive: dict[asyncio.Task[Any], Work] = {}
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []

    def work(self) -> Work:
        """The task that runs now."""
        task = asyncio.current_task(self)
        assert task is not None
        return self.alive[task]

    def begin(self, name: str, coroutine: Coroutine[Any, Any, Any], chain: int) -> asyncio.Task[Any]:
        """Start a task that knows no more than `chain`."""
        work = Work(name, chain)
        task = asyncio.Task(_Watched(coroutine, lambda: self._step(work)), loop=self)
        self.alive[task] = work
        task.add_done_callback(self._ended)
        return task

    def run(self) -> None:
        """Let everything go on that can."""
        asyncio._set_running_loop(self)
        try:
            self._ready.extend(timer for timer in self._timers if timer.when() <= self.now)
            self._timers = [timer for timer in self._timers if timer.when() > self.now]
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """Let every task end where it is, as in a process that is killed: nothing of it has an effect any more."""
        for task in tuple(self.alive):
            task.get_coro().close()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.alive.clear()

    def _step(self, work: Work) -> None:
        work.chain = hash((work.chain, self.now, self.shared()))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.alive.pop(task, None)

    # What asyncio asks of a loop that neither reads nor writes.

    def get_debug(self) -> bool:
        return False

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        return self.call_at(self.now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._timers = [timer for timer in self._timers if timer is not handle]

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **_: Any) -> asyncio.Task[Any]:
        parent = self.work()
        parent.started += 1
        return self.begin(f"{parent.name}/{parent.started}", coro, hash((parent.chain, "starts")))

    def call_exception_handler(self, context: Mapping[str, Any]) -> None:
        raise context.get("exception") or AssertionError(context["message"])
