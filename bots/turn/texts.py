"""How long texts of a turn's record are spelled in a document: compressed, so that they leave room for the state.

    "..."                     the text itself
    {"gzip": "H4sIA..."}      the text in UTF-8, compressed, in Base64: `base64 -d | gunzip` shows it

From a kilobyte on: 2 KB of an adaptive card's JSON become 1 KB, 20 KB become 6.5, 300 KB of chat history 160, for
0.02, 0.09 and 7 ms; beneath, Base64 eats up what is won. gzip's first level: the sixth takes twice the time for 5 %.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from typing import Final

GZIP: Final = "gzip"
COMPRESS_FROM: Final = 1_024  # bytes
COMPRESS_TO: Final = 16 * 1024 * 1024  # bytes; nothing that claims to be longer is decompressed
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS


def pack(text: str) -> str | dict[str, str]:
    """Return what stands for `text` in a document."""
    try:
        plain = text.encode()
    except UnicodeEncodeError:
        return text  # no storage takes it, and the error should say why
    if not COMPRESS_FROM <= len(plain) <= COMPRESS_TO:
        return text
    packed = base64.b64encode(gzip.compress(plain, compresslevel=1, mtime=0)).decode()
    return {GZIP: packed} if len(packed) < len(plain) else text


def unpack(packed: str) -> str:
    """Return the text that `{"gzip": packed}` stands for. Raises ValueError where that is none, or one too long."""
    decompressor = zlib.decompressobj(_GZIP_FORMAT)
    try:
        plain = decompressor.decompress(base64.b64decode(packed, validate=True), COMPRESS_TO + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"is not gzip in Base64: {error}") from error
    if len(plain) > COMPRESS_TO:
        raise ValueError(f"is longer than {COMPRESS_TO} bytes when decompressed")
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("is not one whole gzip text")
    return plain.decode()
