"""How the Azure SDKs' clients reach their service."""

from __future__ import annotations

import urllib.request

from azure.core.pipeline.transport import AioHttpTransport


def new_transport() -> AioHttpTransport:
    """Return the SDKs' own transport, without its look into the environment for each request where that says nothing.

    It reads ~/.netrc then, in another thread, though what these clients send is signed. A proxy is still heeded.
    """
    return AioHttpTransport(use_env_settings=bool(urllib.request.getproxies()))
