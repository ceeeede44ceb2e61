"""What was found of a person, and what was done about it, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from storage.cli.erase import ROUNDS, Erased
from storage.cli.output import count, spelled, table
from storage.cli.person import Kept, Person


def what_is_kept(person: Person, kept: Kept) -> Iterator[str]:
    """Lines that tell what is kept about a person."""
    rows = [("own", spelled(found.key), "" if found.document else "cannot be read") for found in kept.own]
    rows += [("conversation", spelled(found.key), "nobody else took part in it") for found in kept.alone]
    rows += [("said", spelled(key), "") for key in kept.said]
    rows += [
        ("shared", spelled(key), _with(others, perhaps_more=key in kept.uncertain))
        for key, others in {**kept.shared, **kept.said_to_others}.items()
    ]
    yield f"Kept about {spelled(str(person))}: {count(len(rows), 'document')}"
    yield from table([("", *row) for row in rows])
    yield from what_nobody_knows(kept)


def nothing_is_kept(person: Person, kept: Kept) -> Iterator[str]:
    """Lines for a person of whom nothing was found."""
    yield from what_nobody_knows(kept)
    known = "nothing is kept about" if kept.is_all else "nothing else is known to be kept about"
    where = "" if person.channel else " on any channel"
    yield f"{known} {spelled(str(person))}{where}"


def _with(others: int, *, perhaps_more: bool) -> str:
    if not perhaps_more:
        return f"with {count(others, 'other')}"
    return f"with {count(others, 'other')}, perhaps more" if others else "perhaps with others, who are not recorded"


def what_nobody_knows(kept: Kept) -> Iterator[str]:
    """Lines about documents that may have to do with the person; nothing is done about them."""
    if kept.named:
        yield "By their keys, or by their use, these may be about the person; that is for you to say (`show KEY`):"
        yield from (f"  {spelled(key)}" for key in kept.named)
    if kept.unreadable:
        yield "Nobody can say whose these are (`check` tells more):"
        yield from (f"  {error}" for error in kept.unreadable)
    if kept.unrecorded:
        yield (
            f"{count(kept.unrecorded, 'conversation')} of the channel without a whole record of who took part (a stock "
            "bot wrote in it, a bot of before such records, or more users than it holds): not looked into."
        )


def what_would_go(kept: Kept, *, replies: bool) -> Iterator[str]:
    """Lines for a dry run, after `what_is_kept`."""
    number = len(kept.own) + len(kept.alone) + len(kept.said)
    yield f"Would be deleted: {count(number, 'document')}, own and conversation."
    if kept.shared:
        yield f"Would no longer name the person: {count(len(kept.shared), 'shared conversation')}."
        if replies:
            yield "The replies kept in them would go too: an activity that is delivered again then gets none."
        else:
            yield (
                "They stay otherwise. The bot's latest replies are kept in them and may name the person: "
                "--clear-replies removes those as well. What the bot itself stored in them: `show KEY`."
            )
    if kept.said_to_others:
        yield f"{count(len(kept.said_to_others), 'document')} of what was said in them would stay as well."
    yield "Nothing was changed: add --execute to do it."


def what_was_done(erased: Erased) -> Iterator[str]:
    """Lines that tell what an erasure did."""
    yield from (f"  deleted    {spelled(key)}" for key in erased.deleted)
    yield from (f"  forgotten  {spelled(key)}" for key in erased.forgotten)
    names = "names" if len(erased.forgotten) == 1 else "name"
    forgotten = count(len(erased.forgotten), "shared conversation")
    yield f"{count(len(erased.deleted), 'document')} deleted; {forgotten} no longer {names} them."
    if erased.changed:
        yield "Changed or made by turns meanwhile, and looked at again:"
        yield from (f"  {spelled(key)}" for key in sorted(erased.changed))
    if erased.left.found:
        yield f"Still there after {ROUNDS} rounds, for the person is talking to the bot; run it again:"
        left = [found.key for found in (*erased.left.own, *erased.left.alone)] + list(erased.left.shared)
        yield from (f"  {spelled(key)}" for key in left)
    yield from what_nobody_knows(erased.left)


def kept_json(person: Person, kept: Kept) -> dict[str, Any]:
    """What is kept, for another program."""
    return {
        "user": str(person),
        "own": [found.key for found in kept.own],
        "conversations": [found.key for found in kept.alone],
        "said": kept.said,
        "shared": kept.shared,
        "uncertain": sorted(kept.uncertain),
        "said_to_others": kept.said_to_others,
        "named": kept.named,
        "unreadable": [str(error) for error in kept.unreadable],
        "unrecorded": kept.unrecorded,
    }


def erased_json(erased: Erased) -> dict[str, Any]:
    """What was done, for another program."""
    left = [found.key for found in (*erased.left.own, *erased.left.alone)] + list(erased.left.shared)
    return {
        "deleted": erased.deleted,
        "forgotten": erased.forgotten,
        "changed": sorted(erased.changed),
        "left": left,
    }
