"""What is told of a failed request: enough to find the cause, and nothing that is secret in an address."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp.client_reqrep import RequestInfo
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from storage.service_errors import reason

SAS = "restype=container&sv=2022-11-02&sig=c2VjcmV0%3D"
ADDRESS = f"https://ada:pass-word@account.blob.core.windows.net/state?{SAS}"


def not_http() -> aiohttp.ClientResponseError:
    request = RequestInfo(URL(ADDRESS), "GET", CIMultiDictProxy(CIMultiDict()), URL(ADDRESS))
    return aiohttp.ClientResponseError(request, (), status=400, message=f"Bad status line: b'GET /state?{SAS}'")


ERRORS = {
    "not HTTP": not_http(),
    "not HTTP, as newer SDKs wrap it": ServiceResponseError(str(not_http()), error=not_http()),
    "an address that cannot be used": aiohttp.InvalidURL(ADDRESS),
    "a proxy's address without http://": ServiceRequestError("ada:pass-word@proxy.example:3128"),
    "a proxy's page": HttpResponseError(message=f"The page {ADDRESS} could not be had."),
    "a proxy's page with the path alone": HttpResponseError(message=f"Cannot GET /state?{SAS}"),
    "an address that was quoted": ServiceRequestError(f"no route to %2Fstate%3F{SAS.replace('=', '%3D')} today"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_tells_the_signature_or_password_in_an_address(kind: str) -> None:
    told = reason(ERRORS[kind])
    assert told
    for secret in ("sig", "c2VjcmV0", "pass-word", "2022-11-02"):
        assert secret not in told


def test_what_helps_is_told() -> None:
    refused = HttpResponseError(message="Server failed to authenticate the request.\nRequestId:1")
    refused.status_code = 403
    assert reason(refused) == (
        "the credentials are refused, or their role is missing (Server failed to authenticate the request.)"
    )
    unreachable = ServiceRequestError("Cannot connect to host localhost:10000 ssl:default [Connect call failed]")
    assert reason(unreachable) == f"ServiceRequestError: {unreachable.message}"
    assert reason(HttpResponseError(message=f"Moved to {ADDRESS}, or not?")) == (
        "Moved to https://account.blob.core.windows.net/state or not?"
    )
