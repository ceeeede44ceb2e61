"""What a text may say of the addresses in it: a SAS is a URL's query, and a proxy's password stands before its host."""

from __future__ import annotations

import re
from typing import Final

_REST: Final = r"[^\s'\"<>/?#@]"
_PASSWORD: Final = re.compile(rf"(?:(?<=//)|(?<!{_REST})[^\s'\"<>/?#@:]+:){_REST}*@")  # also where http:// was left out
_QUERY: Final = re.compile(r"(?i)(?:\?|%3f)[^\s'\"<>]*?(?:=|%3d)[^\s'\"<>]*")  # of a relative address too


def without_secrets(text: str) -> str:
    """Return the text without the queries, users and passwords of the URLs in it."""
    return _QUERY.sub("", _PASSWORD.sub("", text))
