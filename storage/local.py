"""Whether a service is an emulator of this machine, where nothing is lost by making what is missing."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def may_create(create: bool | None, url: str) -> bool:
    """Whether to make what is missing at `url`: as asked for, otherwise on an emulator of this machine only."""
    return is_loopback(url) if create is None else create


def is_loopback(url: str) -> bool:
    """Whether `url` points at this machine, where emulators listen."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
