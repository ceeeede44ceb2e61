"""The public keys that sign the callers' tokens, fetched from the issuer and kept.

It stands where the SDK keeps its own, which asks with a blocking call and no time limit in the event loop, and never
asks again for a key that it does not know: after a rotation every message is refused for a day.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
from jwt.algorithms import RSAAlgorithm

FRESH: Final = 86_400.0  # seconds after which the keys are asked for again
USABLE: Final = 5 * FRESH  # as long as the issuer does not answer; what Bot Framework allows a cache
PAUSE: Final = 300.0  # seconds between two questions because of a key that is not known
ANSWER: Final = 5.0  # seconds for each of the two requests
_NOBODY: Final = ("",)  # the SDK skips the check of an empty list; no channel has this name


class KeysUnavailable(Exception):
    """Raised when a token cannot be checked now, because its issuer does not say what its keys are."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key, under the names that the SDK reads.

    Attributes:
        public_key: the RSA key.
        endorsements: the channels whose tokens it may sign; empty where the issuer does not speak for channels.
    """

    public_key: Any
    endorsements: tuple[str, ...]


class SigningKeys:
    """The keys of one issuer; put it into the SDK's `JwtTokenExtractor.metadataCache` under `url`.

    Args:
        url: the issuer's OpenID metadata document.
        endorsing: whether a key must name the channels that it endorses, as those of Bot Framework do:
            https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
    """

    def __init__(self, url: str, *, endorsing: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._endorsing = endorsing
        self._clock = clock
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched = self._asked = -math.inf
        self._asking = asyncio.Lock()

    async def get(self, key_id: str | None) -> SigningKey:
        """Return the key of that name.

        Raises PermissionError for one that the issuer does not have, `KeysUnavailable` when the issuer does not answer.
        """
        if self._should_ask(key_id):
            async with self._asking:
                if self._should_ask(key_id):
                    await self._ask(key_id)
        found = self._keys.get(key_id or "")
        if found is None:
            raise PermissionError("the token is signed with no key of its issuer")
        return found

    def _should_ask(self, key_id: str | None) -> bool:
        if self._age > USABLE:
            return True
        outdated = self._age > FRESH or key_id not in self._keys
        return outdated and self._clock() - self._asked > PAUSE

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched

    async def _ask(self, key_id: str | None) -> None:
        self._asked = self._clock()
        try:
            async with asyncio.timeout(3 * ANSWER):
                found = await asyncio.to_thread(_fetch, self._url)
            self._keys = {name: self._key(jwk) for name, jwk in found.items()}
            self._fetched = self._clock()
        except Exception as error:  # no answer in time, or one in any other form
            if key_id not in self._keys or self._age > USABLE:
                raise KeysUnavailable(f"{self._url} does not answer with keys") from error

    def _key(self, jwk: dict[str, Any]) -> SigningKey:
        endorsements = tuple(jwk.get("endorsements") or ())
        return SigningKey(RSAAlgorithm.from_jwk(jwk), endorsements or (_NOBODY if self._endorsing else ()))


def _fetch(url: str) -> dict[str, dict[str, Any]]:
    # With requests, as the SDK: proxies and certificates are configured for it.
    found: Any = _get(_get(url)["jwks_uri"])["keys"]
    return {jwk["kid"]: jwk for jwk in found if jwk.get("kty") == "RSA" and "kid" in jwk}


def _get(url: str) -> Any:
    with requests.get(url, timeout=ANSWER) as response:
        response.raise_for_status()
        return response.json()
