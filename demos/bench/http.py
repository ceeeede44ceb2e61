"""As much of HTTP/1.1 as the bench's channel needs, by hand: a library would cost more than what is measured."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"


class Http(asyncio.Protocol):
    """One side of HTTP/1.1 as clients and servers speak it that have nothing special to say: Content-Length only."""

    def __init__(self) -> None:
        self._buffer = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            total = end + len(_HEAD_END) + _content_length(self._buffer[: end + 2].lower())
            if len(self._buffer) < total:
                return
            head, self._buffer = self._buffer[:end], self._buffer[total:]
            self.message(head)

    def message(self, head: bytes) -> None:
        """Take a whole message, of which `head` is what comes before the body."""
        raise NotImplementedError


def _content_length(head: bytes) -> int:
    at = head.find(_LENGTH)
    return 0 if at < 0 else int(head[at + len(_LENGTH) : head.find(b"\r\n", at + 2)])
