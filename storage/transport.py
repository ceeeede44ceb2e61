"""How the Azure SDKs' clients reach their service."""

from __future__ import annotations

from typing import Any

from azure.core.pipeline.transport import AioHttpTransport
from yarl import URL

from storage.proxies import Proxies


class Transport(AioHttpTransport):
    """The SDKs' own, but for how it finds a proxy."""

    def __init__(self) -> None:
        # `Service` bounds each request in time: a second clock for each, the SDKs' 300 s, would never ring.
        super().__init__(use_env_settings=False, read_timeout=None)
        self._proxies = Proxies()

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request as the SDKs' own does, through the environment's proxy if there is one for it."""
        way = self._proxies.way(URL(request.url))
        request.headers.update(way.headers)
        return await super().send(request, **{**way.options, **options})
