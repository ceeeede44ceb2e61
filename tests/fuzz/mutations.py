"""Inputs that are nearly activities: what channels send, changed in one place or several."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from tests.unit.http_channel import EMULATOR

URL = "http://localhost:52100"
SEEDS: list[dict[str, Any]] = [
    {**EMULATOR, "serviceUrl": URL},
    {**EMULATOR, "serviceUrl": URL, "type": "conversationUpdate", "text": None},
    {**EMULATOR, "serviceUrl": URL, "type": "invoke", "name": "x", "value": {"a": [1, 2]}},
    {**EMULATOR, "serviceUrl": URL, "deliveryMode": "expectReplies", "textFormat": "xml"},
    {**EMULATOR, "serviceUrl": URL, "type": "messageReaction", "reactionsAdded": [{"type": "like"}], "replyToId": "1"},
    {
        **EMULATOR,
        "serviceUrl": URL,
        "channelId": "msteams",
        "text": "<at>Bot</at> Ada &amp; co",
        "entities": [{"type": "mention", "text": "<at>Bot</at>", "mentioned": {"id": "bot", "name": "Bot"}}],
        "attachments": [{"contentType": "text/html", "content": "<div>hi</div>"}],
    },
]
ODD: list[Any] = [
    *(None, True, 0, -1, 2**63, 2**2000, 0.1, 1e308, "", " ", ".", "..", "\0", "\ud800", "a\udfff", "x" * 2001),
    *("ü" * 500, "\u202e", "\r\nX: y", "{0}", "%00", "<at>", "<at></at>", "&#0;", "2026-13-99T99:99:99Z", "0001-01-01"),
    *("9999-12-31T23:59:59.999Z", "2026-03-29T12:30:00+99:99", "../../etc/passwd", "$turn", "__class__", "py/object"),
    *([], {}, [[]], [None], [{}], {"id": None}, {"id": "x", "name": 5}, {"py/object": "os.system"}, {"": ""}),
    *("http://[::1", "http://localhost@x", "http://LOCALHOST:1/", "https://x", "message", "invoke", "expectReplies"),
]
REQUESTS = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST /api/messages HTTP/1.0\r\n\r\n",
    b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Encoding: gzip\r\n\r\n",
]


def seeds() -> list[bytes]:
    """Return what to begin with."""
    return [json.dumps(seed).encode() for seed in SEEDS] + [b"RAW " + request for request in REQUESTS]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return the input with changes: of its structure where it is JSON, and of its bytes where it is not."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _bytes(data, chance)
    if chance.random() < 0.1 or not isinstance(value, dict):
        return _bytes(data, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        _change(value, chance)
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")


def _change(value: dict[str, Any], chance: random.Random) -> None:
    where: Any = value
    while True:  # down, to some depth
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(where[key], (dict, list)) and where[key] and chance.random() < 0.7:
            where = where[key]
        else:
            break
    kind = chance.random()
    if kind < 0.6:
        where[key] = copy.deepcopy(chance.choice(ODD))
    elif kind < 0.7:
        where[key] = copy.deepcopy(chance.choice(SEEDS).get(chance.choice(list(EMULATOR))))
    elif kind < 0.8:
        where[key] = [where[key]] * chance.choice((1, 2, 200))
    elif kind < 0.9 and isinstance(where, dict):
        where[chance.choice([*EMULATOR, "value", "name", "callerId", "$turn"])] = where.pop(key)
    else:
        for _ in range(chance.choice((1, 50, 101))):
            where[key] = {"a": where[key]}


def _bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    kind = chance.randrange(4)
    if kind == 0:
        return data[:at] + chance.randbytes(chance.choice((1, 2, 8))) + data[at:]
    if kind == 1:
        return data[:at] + data[at + chance.choice((1, 2, 30)) :]
    if kind == 2:
        return data[:at] + data[at : at + 30] * chance.choice((2, 100)) + data[at + 30 :]
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
