"""The proxies that the environment names: HTTPS_PROXY, HTTP_PROXY, NO_PROXY."""

from __future__ import annotations

import urllib.request
from base64 import b64encode
from typing import Any, NamedTuple

from yarl import URL


class Way(NamedTuple):
    """How a request gets to its host.

    Attributes:
        options: of aiohttp's `request`: `proxy` and `proxy_headers`; empty for the direct way.
        headers: which the request has to carry besides its own.
    """

    options: dict[str, Any]
    headers: dict[str, str]


_DIRECT = Way({}, {})


class Proxies:
    """Those of the moment in which it is made.

    In place of aiohttp's own `trust_env`, which reads ~/.netrc for each request, in another thread, and fails where it
    has a password for the host.
    """

    def __init__(self) -> None:
        self._found = urllib.request.getproxies()

    def way(self, url: URL) -> Way:
        """Return the way to `url`."""
        found = self._found.get(url.scheme)
        if not found or urllib.request.proxy_bypass(url.host or ""):
            return _DIRECT
        proxy = URL(found if "://" in found else f"http://{found}")  # as curl and requests read it
        known = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
        who = {"Proxy-Authorization": f"Basic {known}"} if proxy.user else {}
        proxy = proxy.with_user(None)
        if url.scheme == "https":  # a tunnel: what is in it is not for the proxy, and the other way round
            return Way({"proxy": proxy, "proxy_headers": who}, {})
        return Way({"proxy": proxy}, who)
