"""Sets of ids in a document, 11 characters each: digests, one behind the other in one text.

They tell whether an id is among them, and how many there are, whatever the length of an id.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

LENGTH: Final = 11  # characters: 64 bits in Base64, so that no two of 50,000 ids are taken for one


def digest_of(text: str) -> str:
    """The digest of an id."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return base64.urlsafe_b64encode(digest)[:LENGTH].decode()


def holds(digests: str, digest: str) -> bool:
    """Whether `digest` is one of `digests`."""
    at = digests.find(digest)
    while at >= 0 and at % LENGTH:
        at = digests.find(digest, at + 1)
    return at >= 0
