"""Values and keys that storages get wrong, by name."""

from __future__ import annotations

from typing import Any, Final


def _nested(levels: int) -> Any:
    value: Any = "the bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"inner": value}
    return value


VALUES: Final[dict[str, dict[str, Any]]] = {
    "empty": {},
    "flat": {"name": "Ada", "age": 36, "admin": True, "manager": None},
    "nested": {"profile": {"tags": ["a", ["b", {"c": []}]], "address": {}}},
    "100 levels": {"top": _nested(99)},
    "1.5 MB": {"text": "0123456789abcdef" * 98_304},
    "many members": {f"member {i}": i for i in range(5_000)},
    "integers": {"least": -(2**53) + 1, "zero": 0, "greatest": 2**53 - 1},
    "fractions": {"tenth": 0.1, "sum": 0.1 + 0.2, "tiny": 5e-324, "huge": 1.7976931348623157e308, "minus": -2.5},
    "falsy": {"zero": 0, "no": False, "nothing": None, "text": "", "list": [], "object": {}},
    "every script": {
        "latin": "Zoë",
        "greek": "Ωμέγα",
        "arabic": "مرحبا",
        "han": "日本語",
        "emoji": "👩‍👩‍👧‍👦",
        "𝔘": "astral",
    },
    "composed and decomposed": {"\xe9": "composed", "e\u0301": "decomposed"},
    "line ends": {"text": "a\nb\r\nc\rd\u2028e\u2029f\u0085g"},
    "control characters": {"text": "".join(map(chr, range(32))) + "\x7f\x80\x9f", "\x00": "NUL as a name"},
    "quotes": {"text": "\"'`\\/ \\u0041 </script> %s {} $ref"},
    "empty name": {"": {"": {"": 1}}},
    "names of others": {"id": 1, "_etag": "x", "_ts": 2, "realId": 3, "document": {"id": None}, "etag": "y", "$v": 0},
    "looks like dates": {"at": "2026-11-22T10:00:00Z", "number": "1e5", "null": "null"},
}

KEYS: Final[dict[str, str]] = {
    "of the Emulator": "emulator/conversations/2a5f8b60-cafe-11ee|livechat/users/9b-c0|7",
    "of Teams": "msteams/conversations/19:meeting_MjA5@thread.v2;messageid=1700/users/29:1aBc-_D",
    "of Direct Line": "directline/users/dl_0123abcd",
    "one character": "k",
    "2,000 characters": "long/" * 400,
    "2,000 astral characters": "𝔘" * 2_000,
    "empty": "",
    "slash": "/",
    "leading slash": "/a",
    "trailing slash": "a/",
    "double slash": "a//b",
    "300 segments": "/".join("x" * 300),
    "backslash": "a\\b",
    "question mark": "a?b=c",
    "hash": "a#b",
    "percent": "100%",
    "percent escape": "a%2Fb%00",
    "pipe": "a|b",
    "plus": "a+b",
    "ampersand": "a&b",
    "colon": "a:b",
    "space": "a b",
    "leading space": " a",
    "trailing space": "a ",
    "only a space": " ",
    "leading dot": ".a",
    "trailing dot": "a.",
    "trailing dots": "a...",
    "one dot": ".",
    "two dots": "..",
    "dot segments": "a/./b/../c",
    "tab": "a\tb",
    "line ends": "a\nb\r\nc",
    "control characters": "a\x00b\x01c\x1bd\x7fe\x80f",
    "quotes": "a\"b'c`d",
    "star": "a*b",
    "tilde": "~a",
    "brackets": "<a>{b}[c](d)^$!@,;=",
    "every script": "Ωμέγα/مرحبا/日本語/👩‍👩‍👧‍👦",
    "private use": "\ue000\uf8ff\uffff",
    "a lone surrogate": "a\ud800b",
}

# Of each group, every key names a document of its own.
LOOK_ALIKES: Final[dict[str, list[str]]] = {
    "stock escapes": ["a\t2", "a\\", "a*92", "a~*92", "a*~5C", "*~a*92", "a*42*92"],
    "slashes": ["a", "a/", "/a", "//a", "a//", "a/.", "a/..", "a/b/..", "./a"],
    "escapes": ["a b", "a%20b", "a+b", "a%2520b", "a~20b", "~a~20b", "~~a~20b", "~7Ea~20b"],
    "case": ["Key", "key", "KEY", "straße", "STRASSE", "strasse", "ı", "i", "I", "İ"],
    "composition": ["\xe9", "e\u0301", "\xc5", "\u212b", "A\u030a", "\ufb01", "fi"],
    "spaces": ["a", "a ", " a", "a\u00a0", "a\t", "a\n", "a\u200b", "\ufeffa"],
    "ends": ["a", "a.", "a..", "a\x00", "a\x00b", "a\x00c", "a~", "a*", "a?", "a#"],
    "separators": ["a\\b", "a/b", "a|b", "a:b", "a*47b", "a*92b"],
    "long": ["x" * 2_000 + end for end in ("", "1", "2", "x", "/")]
    + ["x" * 1_999, "é" * 1_000 + "1", "é" * 1_000 + "2"],
    "surrogates": ["\ud800", "\udfff", "?", "\ufffd", "~ED~A0~80", "~~ED~A0~80"],
}
KEYS_AT_ONCE: Final = sorted({*KEYS.values(), *(key for group in LOOK_ALIKES.values() for key in group)})
