"""Without an app id nobody's token is checked and anyone who reaches the bot is believed: so only this machine may.

Listening on localhost is not enough for that. A tunnel or a proxy brings the world to it, and so does any web page
whose host name is made to resolve to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from bots.refusals import refusal

HOW: Final = "set MicrosoftAppId, or ALLOW_UNAUTHENTICATED=true to trust everyone"
# How the names of headers begin that proxies (RFC 7239, RFC 9110 section 7.6.3), tunnels and CDNs (RFC 8586) add, and
# no client. A proxy that adds none, speaks HTTP/1.1 and calls the bot "localhost" cannot be told from a client here.
_PROXIED: Final = (
    *("forwarded", "x-forwarded", "via", "x-real-ip", "x-original-", "x-proxy", "client-ip", "x-client-ip"),
    *("true-client-ip", "x-cluster-client-ip", "x-envoy-", "x-tunnel-", "tailscale-", "cdn-loop", "cf-", "fastly-"),
    *("akamai-", "x-akamai-", "x-azure-", "x-arr-", "x-amz-cf-", "x-amzn-trace-id", "x-appengine-", "fly-"),
)


@web.middleware
async def local_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 403 to who is not on this machine, or does not call it by a name of this machine."""
    if not _is_local(request):
        raise refusal(web.HTTPForbidden, f"without an app id the bot answers its own machine only: {HOW}")
    return await handler(request)


def _is_local(request: web.Request) -> bool:
    if request.version < HttpVersion11:  # as proxies speak, nginx up to 1.29.6 unless it is told otherwise
        return False
    if any(name.lower().startswith(_PROXIED) for name in request.headers):
        return False
    peer = request.remote  # None or "": a Unix socket
    return is_loopback(f"//{request.headers.get('Host', '')}") and (not peer or _is_loopback_address(peer))


@functools.lru_cache  # of all channels on this machine there are a few
def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by any resolver: `localhost` or a loopback address."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_loopback_address(host)


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
