"""The bot's own token on what it sends; `bots.credentials` has fetched it when the client was made."""

from __future__ import annotations

from typing import Any

from msrest.pipeline import Request, Response
from msrest.pipeline.async_abc import AsyncHTTPPolicy


def authorization(credentials: Any) -> dict[str, str]:
    """Return the headers that say who the bot is: none where it has no app id, which is the SDK's rule."""
    if not credentials._should_set_token(None):
        return {}
    return {"Authorization": f"{credentials.schema} {credentials.get_access_token()}"}


class Signed(AsyncHTTPPolicy[Any, Any]):
    """Puts them on each request of a pipeline."""

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    async def send(self, request: Request[Any], **kwargs: Any) -> Response[Any, Any]:
        request.http_request.headers.update(authorization(self._credentials))
        assert self.next is not None  # the pipeline has set it
        return await self.next.send(request, **kwargs)
