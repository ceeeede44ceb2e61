"""What a variable of the environment may say. Each function parses a text, or raises ValueError with what it may be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

BASE64: Final = "([A-Za-z0-9+/]{4})*[A-Za-z0-9+/]{2}([A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==)"
DEVELOPMENT_STORAGE: Final = (  # the published account of Azurite, which UseDevelopmentStorage=true stands for
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50"
    "uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1"
)
_URL: Final = r"(?i)https?://([\w.-]+|\[[\da-f:.]+])(:(\d{1,5}))?(/[\w/-]*)?"


def text(pattern: str, expected: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(expected)
        return value

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    by_name = {choice.lower(): choice for choice in choices}

    def parse(value: str) -> str:
        if value.lower() not in by_name:
            raise ValueError(f"one of {', '.join(choices)}")
        return by_name[value.lower()]

    return parse


def flag(value: str) -> bool:
    return one_of("true", "false", "1", "0", "yes", "no")(value) in ("true", "1", "yes")


def number(least: int, most: int, expected: str) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not (re.fullmatch("[0-9]{1,8}", value) and least <= int(value) <= most):
            raise ValueError(expected)
        return int(value)

    return parse


def release(value: str) -> int:
    return int(one_of("1", "3")(value))


def seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        if not (re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", value) and least <= float(value) <= most):
            raise ValueError(f"seconds, {least:g} to {most:g}")
        return float(value)

    return parse


def url(value: str) -> str:
    found = re.fullmatch(_URL, value, re.ASCII)
    if not (found and 0 < int(found[3] or 443) <= 65535):
        raise ValueError("https://HOST or https://HOST:PORT, without a key, password or signature in it")
    return value


def connection_string(value: str) -> str:
    if value.rstrip(";").lower() == "usedevelopmentstorage=true":
        return DEVELOPMENT_STORAGE
    parts = {name: text for name, _, text in (part.partition("=") for part in value.rstrip(";").split(";"))}
    whole = parts.keys() >= {"AccountName", "AccountKey"} or parts.keys() >= {"BlobEndpoint", "SharedAccessSignature"}
    key_fits = re.fullmatch(BASE64, parts.get("AccountKey", "eA=="), re.ASCII)
    url_fits = re.fullmatch(_URL, parts.get("BlobEndpoint", "https://a"), re.ASCII)
    if not (whole and all(parts.values()) and key_fits and url_fits):
        raise ValueError("AccountName=...;AccountKey=...;EndpointSuffix=..., as the portal shows it")
    return value
