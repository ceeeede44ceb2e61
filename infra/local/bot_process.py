"""The bot as a process of its own, `python app.py`, for tests and demos that start, stop and kill it."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

APP = Path(__file__).parents[2] / "app.py"
WAIT_SECONDS = 30.0  # to start, and to stop
_URL = re.compile(r"https?://\S+/api/messages")


class BotDidNotStartError(RuntimeError):
    """Raised when the process ends, or says something else, before it listens; the message has what it said."""


class BotProcess:
    """A bot that runs; `running` starts one.

    Attributes:
        start_line: what it printed when it began to listen.
        url: where it takes activities.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdout = process.stdout
        self._log = bytearray()
        self._reading = asyncio.create_task(self._read(process.stderr))
        self.start_line = ""
        self.url = ""

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What the process has written to stderr."""
        return self._log.decode(errors="replace")

    async def kill(self) -> None:
        """End the process as a power failure does (SIGKILL): it cannot finish, save or say anything."""
        self._process.kill()
        await self.ended()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end, wait until it has, and return its exit code."""
        self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end of the process and of its output; return its exit code. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_SECONDS):
            await self._stdout.read()
            await self._reading
            return await self._process.wait()

    async def listens(self) -> None:
        """Wait for the line that says where it listens. Raises `BotDidNotStartError`, or TimeoutError."""
        async with asyncio.timeout(WAIT_SECONDS):
            self.start_line = (await self._stdout.readline()).decode().rstrip()
        if not (found := _URL.search(self.start_line)):
            if self.start_line:
                self._kill_if_running()
            code = await self.ended()
            raise BotDidNotStartError(f"the bot ended with exit code {code}: {self.start_line}{self.log}")
        self.url = found[0]

    async def _read(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(65536):
            self._log += chunk

    def _kill_if_running(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def running(
    environment: Mapping[str, str],
    folder: Path,
    *,
    python_options: Sequence[str] = (),
    program: Sequence[str] = (str(APP),),
    python: str = sys.executable,
) -> AsyncIterator[BotProcess]:
    """Run the bot until the block ends; there it is killed if it still runs.

    Args:
        environment: the whole environment of the process.
        folder: its working directory, where it looks for `.env`.
        python_options: options of the interpreter, as `-W error`.
        program: what it runs and its arguments; a bot of your own prints the line that `app.serve` does.
        python: the interpreter.
    """
    process = await asyncio.create_subprocess_exec(
        python,
        *python_options,
        *program,
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at the terminal is for whoever started this, who then decides
    )
    bot = BotProcess(process)
    try:
        await bot.listens()
        yield bot
    finally:
        bot._kill_if_running()
        await bot.ended()
