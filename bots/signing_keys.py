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
RETRY: Final = 1.0  # seconds between two questions while no answer means that a caller is turned away
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
        self._failure: Exception | None = None  # of the last question
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key_id: str | None) -> SigningKey:
        """Return the key of that name. All who wait for the issuer wait for one answer, and share its failure.

        Raises PermissionError for one that the issuer does not have, `KeysUnavailable` when the issuer does not answer.
        """
        if self._asking is None and self._should_ask(key_id):
            self._asking = asyncio.create_task(self._ask())
            await asyncio.shield(self._asking)  # who leaves does not take the answer away from the others
        elif self._asking and not self._known(key_id):
            await asyncio.shield(self._asking)
        found = self._known(key_id)
        if found:
            return found
        if self._failure:
            raise KeysUnavailable(f"{self._url} does not answer with keys") from self._failure
        raise PermissionError("the token is signed with no key of its issuer")

    def _should_ask(self, key_id: str | None) -> bool:
        known = self._known(key_id)
        if known and self._age <= FRESH:
            return False
        pause = RETRY if self._failure and not known else PAUSE
        return self._clock() - self._asked > pause

    def _known(self, key_id: str | None) -> SigningKey | None:
        return self._keys.get(key_id or "") if self._age <= USABLE else None

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(2 * ANSWER):
                found = await asyncio.to_thread(_fetch, self._url)
            self._keys = {name: self._key(jwk) for name, jwk in found.items()}
            self._fetched, self._failure = self._clock(), None
        except Exception as error:  # no answer in time, or one in any other form
            self._failure = error
        finally:
            self._asked, self._asking = self._clock(), None

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
