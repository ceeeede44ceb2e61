"""Sends the requests of the SDK's clients over aiohttp, in the event loop, within a time limit.

The SDK's own transport, `requests` in the default thread pool, has as many threads as the machine has processors plus
four: a few replies that hang keep all others waiting, and each for up to 104 seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from msrest.exceptions import ClientRequestError
from msrest.pipeline import Request, Response
from msrest.pipeline.async_abc import AsyncHTTPSender
from msrest.universal_http import ClientRequest
from msrest.universal_http.async_abc import AsyncClientResponse
from yarl import URL

from bots.connector.hosts import AllConnectionsBusyError, Hosts, HostSilentError
from storage.proxies import Proxies
from storage.retries import retried, seconds_asked

KEPT_ALIVE: Final = 30.0  # seconds that an idle connection is kept
_PASSING: Final = (408, 429, 500, 502, 503, 504)


class ReplySender(AsyncHTTPSender[Any, Any]):
    """One for all clients. Close it after the last of them.

    Args:
        timeout: seconds for one reply with its retries.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout
        self._session: ClientSession | None = None
        self._hosts = Hosts()
        self._proxies = Proxies()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> ReplySender:  # the clients' own life cycles do not end it
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return

    async def send(self, request: Request[Any], **_config: Any) -> Response[Any, Any]:
        """Send one request of msrest's. Raises what `answer` raises."""
        http: ClientRequest = request.http_request
        data = http.data.encode() if isinstance(http.data, str) else http.data
        return Response(request, as_msrest(http, await self.answer(http.method, URL(http.url), http.headers, data)))

    async def answer(self, method: str, url: URL, headers: Mapping[str, str], data: bytes | None) -> Answer:
        """Send a request and return what comes back, whatever its status.

        A redirect is an answer like any other: followed, it would carry the bot's token elsewhere. Raises msrest's
        ClientRequestError where no answer comes in time, or no connection gets free while the delivery has time.
        """

        way = self._proxies.way(url)
        headers = {**headers, **way.headers}

        async def once() -> Answer:
            session = self._session = self._session or _session()
            # Read to its end, or failing in it, it lets go of its connection: there is no need of `async with`.
            response = await session.request(
                method, url, headers=headers, data=data, allow_redirects=False, **way.options
            )
            answer = Answer(response.status, response.reason or "", response.headers, await response.read())
            if answer.status in _PASSING:
                raise _PassingError(answer)
            return answer

        host = self._hosts.of(url.raw_authority)
        try:
            async with host.free_connection:
                with host.waited_for():
                    async with asyncio.timeout(self._timeout):
                        return await retried(once, _retry_after, budget=host.budget, seconds=self._timeout)
        except _PassingError as failure:
            return failure.answer
        except TimeoutError as error:
            raise ClientRequestError(f"no answer within {self._timeout:g} s", error) from error
        except (ClientError, AllConnectionsBusyError, HostSilentError, OSError, ValueError) as error:
            raise ClientRequestError(f"{type(error).__name__}: {error}", error) from error


class Answer(NamedTuple):
    """What a channel answered, read to its end; of `headers` the names are without case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


def as_msrest(request: ClientRequest, answer: Answer) -> AsyncClientResponse:
    """Return the answer as msrest's deserializer and errors want it."""
    return _ReadResponse(request, answer)


class _PassingError(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.reason}")
        self.answer = answer


class _ReadResponse(AsyncClientResponse):
    """An answer that has been read, as msrest wants it."""

    def __init__(self, request: ClientRequest, answer: Answer) -> None:
        super().__init__(request, answer)
        self.status_code = answer.status
        self.reason = answer.reason
        self.headers = {name.lower(): value for name, value in answer.headers.items()}

    def body(self) -> bytes:
        """The answer's body."""
        return self.internal_response.body  # type: ignore[no-any-return]


def _session() -> ClientSession:
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=KEPT_ALIVE),  # `Host` bounds them
        timeout=ClientTimeout(total=None),  # `send` has it
        cookie_jar=DummyCookieJar(),
    )


def _retry_after(error: Exception) -> float | None:
    """A reply that failed goes out again: what the channel delivers again would only do the same later.

    Not one that takes long: a slow channel would show it twice, every time.
    """
    if isinstance(error, _PassingError):
        return seconds_asked(error.answer.headers.get("Retry-After", ""))
    return 0.0 if isinstance(error, ClientError) else None
