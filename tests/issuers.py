"""Who signs tokens for bots, with keys of their own: the channels' issuer, and Entra for the Emulator and the bot."""

from __future__ import annotations

import functools
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

APP_ID = "4d0f2c1e-0000-0000-0000-000000000001"
CHANNELS = "https://api.botframework.com"
EMULATOR = "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"
EMULATOR_2 = "https://login.microsoftonline.com/d6d49420-f39b-4df7-a1dc-d59a935871db/v2.0"
ENDORSED = ["msteams", "directline", "webchat"]


@functools.cache
def new_key(name: str) -> rsa.RSAPrivateKey:
    """Return an RSA key; the same one for the same name, for they are slow to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """An issuer and its keys.

    Attributes:
        keys: what its JWK set has, by key id: the key, and the channels it endorses (None: it does not say).
        asked: how often the set was fetched.
    """

    def __init__(self, name: str, endorsements: list[str] | None) -> None:
        self.name = name
        self.keys: dict[str, tuple[rsa.RSAPrivateKey, list[str] | None]] = {name: (new_key(name), endorsements)}
        self.asked = 0

    def jwks(self) -> dict[str, Any]:
        """Return the set as the issuer publishes it."""
        self.asked += 1
        return {"keys": [_jwk(kid, key, endorsements) for kid, (key, endorsements) in self.keys.items()]}

    def sign(self, claims: dict[str, Any], kid: str | None = None, algorithm: str = "RS256", key: Any = None) -> str:
        """Return a token; `key` in place of the one that `kid` names."""
        kid = kid or self.name
        return jwt.encode(claims, key or self.keys[kid][0], algorithm, headers={"kid": kid})


def channel_claims(service_url: str, **changes: Any) -> dict[str, Any]:
    """Return what a channel's token says; a change to None leaves the claim out."""
    now = int(time.time())
    claims = {"iss": CHANNELS, "aud": APP_ID, "serviceurl": service_url, "nbf": now - 60, "exp": now + 3600}
    return _changed(claims, changes)


def emulator_claims(**changes: Any) -> dict[str, Any]:
    """Return what a token says that the Emulator gets with the bot's own password."""
    now = int(time.time())
    claims = {"iss": EMULATOR, "aud": APP_ID, "appid": APP_ID, "ver": "1.0", "nbf": now - 60, "exp": now + 3600}
    return _changed(claims, changes)


def _changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def _jwk(kid: str, key: rsa.RSAPrivateKey, endorsements: list[str] | None) -> dict[str, Any]:
    jwk = {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
    return jwk if endorsements is None else {**jwk, "endorsements": endorsements}
