"""What a process has used, told by itself: on SIGUSR1 it writes a line of JSON to stderr. POSIX only."""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

MARK: Final = "used: "
_TRANSPORTS: Final = (
    ("azure.core.pipeline.transport", "RequestsTransport"),
    ("azure.core.pipeline.transport", "AioHttpTransport"),
)


def report(*, remote: bool) -> None:
    """Count from now on, and tell whenever the signal comes.

    Args:
        remote: whether the storage is a service: then its SDK's requests are counted, where they leave the SDK.
    """
    requests = [0]
    if remote:
        for module, name in _TRANSPORTS:
            _count(getattr(__import__(module, fromlist=[name]), name), requests)

    def tell(_number: int, _frame: object) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "cpu": used.ru_utime + used.ru_stime,
            "peak": _peak(),
            "requests": requests[0] if remote else None,
        }
        sys.stderr.write(f"{MARK}{json.dumps(told)}\n")
        sys.stderr.flush()

    signal.signal(signal.SIGUSR1, tell)


def _peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    if sys.platform != "linux":
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    # There, ru_maxrss outlives an exec (getrusage(2), notes): it would be that of the bench, which started the process.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _count(transport: Any, requests: list[int]) -> None:
    send = transport.send

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        requests[0] += 1
        return send(self, *args, **kwargs)

    transport.send = counted
