"""Who took part in a conversation: the users whose activities its committed turns have handled.

The record is for people who ask what is kept about a user (`python -m storage`), not for the protocol, whose `seen` and
`last` name some documents and let go of others. It says so where it is not whole: of a conversation that was there
before its record, and of one with more users than it has room for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bots.turn.digests import LENGTH, digest_of, holds

if TYPE_CHECKING:
    from botbuilder.schema import Activity

    from bots.turn.fields import Fields
    from storage.contract import JsonObject

ROOM: Final = 1_000  # users: 11 kB


@dataclasses.dataclass(frozen=True, slots=True)
class Members:
    """The users of a conversation.

    Attributes:
        digests: those of their ids, 11 characters each, in the order in which they came.
        more: whether there may be others.
    """

    digests: str = ""
    more: bool = False

    def with_users(self, ids: Iterable[str]) -> Members:
        """The record with these users in it too."""
        digests, more = self.digests, self.more
        for digest in map(digest_of, ids):
            if holds(digests, digest):
                continue
            if len(digests) >= ROOM * LENGTH:
                more = True
            else:
                digests += digest
        return Members(digests, more)


def users_of(activity: Activity) -> list[str]:
    """The ids of the users whom an activity is from, or brings into the conversation; the bot is none."""
    bot = activity.recipient.id if activity.recipient else None
    accounts = (activity.from_property, *(activity.members_added or ()))
    return [account.id for account in accounts if account and account.id and account.id != bot]


def parse_members(fields: Fields) -> Members:
    """Read the record of a conversation's "$turn". Raises `StateDecodeError` where it is malformed."""
    if "members" not in fields:
        return Members(more=True)
    digests = fields.text("members")
    if len(digests) % LENGTH:
        raise fields.error("members", f"has {len(digests)} characters, expected a multiple of {LENGTH}")
    return Members(digests, fields.flag("more"))


def build_members(members: Members) -> JsonObject:
    """Return its part of "$turn"."""
    return {"members": members.digests, "more": True} if members.more else {"members": members.digests}
