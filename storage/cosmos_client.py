"""How Cosmos DB is asked with azure-cosmos, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from azure.core import MatchConditions
from azure.cosmos.documents import ConnectionPolicy
from azure.cosmos.exceptions import CosmosHttpResponseError

from storage.contract import Write
from storage.local import is_loopback
from storage.transport import new_transport

_NO_SUCH_CONTAINER: Final = 1003  # substatus of a 404 that is not about the item
_NOT_FOUND: Final = 404


def client_options(endpoint: str) -> dict[str, Any]:
    """The options of an account's client."""
    # `RemoteStorage` retries, so the SDK must not: neither failed requests nor, up to nine times, throttled ones.
    policy = ConnectionPolicy()
    policy.RetryOptions = type(policy.RetryOptions)(max_retry_attempt_count=0)
    # Emulators come with a certificate they signed themselves.
    verify = not is_loopback(endpoint)
    return {"connection_verify": verify, "connection_policy": policy, "retry_total": 0, "transport": new_transport()}


def if_match(write: Write) -> Mapping[str, Any]:
    """The options of a request that carries what the write expects."""
    if write.expected_etag is None:
        return {}
    return {"etag": write.expected_etag, "match_condition": MatchConditions.IfNotModified}


def is_absent(error: CosmosHttpResponseError) -> bool:
    """Whether the service says that there is no such item."""
    # The service names its reason; the 404 of a proxy in between, or of a gateway, must not pass for a new user.
    said_so = error.error is not None and error.error.code == "NotFound"
    return error.status_code == _NOT_FOUND and said_so and error.sub_status != _NO_SUCH_CONTAINER
