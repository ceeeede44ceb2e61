"""What an account and a container of Cosmos DB must be like for state to be kept there; anything else is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from storage.errors import StorageUnavailable

PARTITION_PATH: Final = "/id"
NO_DEFAULT: Final = -1  # of a container's time to live: items live for ever, unless they say otherwise themselves
_ACCOUNT: Final = re.compile(r"\.documents\.azure\.\w+$|\.cosmos\.azure\.\w+$")
_LAST_VERSION: Final = ("Strong", "BoundedStaleness")
SPELLING: Final = "COSMOS_KEY_SUFFIX, COSMOS_COMPATIBILITY_MODE?"  # by what ids differ
_EXPIRE: Final = "EXPIRE_CONVERSATION_DAYS, EXPIRE_USER_DAYS, EXPIRE_PRIVATE_DAYS"


def check_reads(name: object, endpoint: str, level: str) -> None:
    """Refuse an account from which a replica may read an older version than another one wrote.

    An emulator has one node, and answers the last version whatever it says.
    https://learn.microsoft.com/azure/cosmos-db/consistency-levels
    """
    if _ACCOUNT.search(urlsplit(endpoint).hostname or "") and level not in _LAST_VERSION:
        raise StorageUnavailable(
            f"{name}: the account's default consistency is {level}, which lets a replica read what another one has "
            "replaced; set it to Strong (or BoundedStaleness, with all replicas in the write region), or "
            "COSMOS_STALE_READS=true for a single replica"
        )


def check_partitions(name: object, properties: Mapping[str, Any]) -> None:
    """Refuse a container that is not partitioned by `/id`.

    The stock storage takes some, and then does not find its items again: it reads them in the partition of null,
    and writes them to that of no value (azure-cosmos 4.7.0).
    """
    paths = (properties.get("partitionKey") or {}).get("paths") or "nothing"
    if paths != [PARTITION_PATH]:
        raise StorageUnavailable(
            f"{name}: partitioned by {paths}, expected ['{PARTITION_PATH}']; copy its items as they are into a new "
            f"container with the partition key {PARTITION_PATH}, and set COSMOS_CONTAINER to that one"
        )


def check_time_to_live(name: object, properties: Mapping[str, Any], *, expires: bool) -> None:
    """Refuse a container that would keep what is to expire, or remove what is not."""
    default = properties.get("defaultTtl")
    if default is None and expires:
        raise StorageUnavailable(
            f"{name}: its time to live is off, so nothing would expire; turn it on without a default "
            f"(defaultTtl {NO_DEFAULT}), or unset {_EXPIRE}"
        )
    if default not in (None, NO_DEFAULT):
        raise StorageUnavailable(
            f"{name}: its time to live would remove every document {default} s after its last write; set it to "
            f"{NO_DEFAULT} (on, without a default), and say with {_EXPIRE} what expires"
        )
