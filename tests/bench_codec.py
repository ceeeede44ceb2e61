"""What reading and writing a document costs, beside jsonpickle on the same states.

To run: python -m tests.bench_codec
You should see: for each state the microseconds of one text -> state and one state -> text, and the bytes stored.
"""

from __future__ import annotations

import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonpickle

from data_models import ConversationData, UserProfile
from storage import Codec
from storage.codec import dumps, loads
from tests.fuzz_codec import Note, seeds


@dataclass
class Order:
    sku: str = ""
    count: int = 0
    price: float = 0.0
    tags: list[str] = field(default_factory=list)
    at: datetime | None = None


def states() -> dict[str, dict[str, Any]]:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    orders = [
        Order(f"sku-{number}", number, number * 1.1, ["new", "sale"], at + timedelta(minutes=number))
        for number in range(100)
    ]
    conversation = ConversationData("2026-03-29 14:30:00+02:00", "emulator", False)
    return {
        "the sample's user": {"UserProfile": UserProfile("Ada")},
        "the sample's conversation": {"ConversationData": conversation},
        "100 typed orders": {"orders": orders},
        "100 plain orders": {"orders": [{**vars(order), "at": str(at)} for order in orders]},
        "a dialog in its middle": jsonpickle.decode(seeds()[2].decode()),  # noqa: S301 - our own
    }


def microseconds(work: Callable[[], object]) -> float:
    timer = timeit.Timer(work, timer=time.process_time)  # other programs on the machine do not count
    number = max(1, timer.autorange()[0] // 4)
    return min(timer.repeat(repeat=5, number=number)) / number * 1e6


def main() -> None:
    """Print the table."""
    codec = Codec()
    for cls in (UserProfile, ConversationData, Order, Note):
        codec.register(cls)
    codec.register_dialogs()
    sys.stdout.write(f"{'':28}{'read':>9}{'stock':>9}{'':7}{'write':>9}{'stock':>9}{'':7}{'bytes':>9}{'stock':>9}\n")
    for name, state in states().items():
        sys.stdout.write(row(codec, name, {key: value for key, value in state.items() if key != "e_tag"}))


def row(codec: Codec, name: str, state: dict[str, Any]) -> str:
    """One state's line of the table."""
    ours, theirs = dumps(codec.encode(state, name), name), jsonpickle.encode(state)
    read = microseconds(lambda: codec.decode(loads(ours, name), name))
    stock_read = microseconds(lambda: jsonpickle.decode(theirs))  # noqa: S301 - as the stock storages do
    write = microseconds(lambda: dumps(codec.encode(state, name), name))
    stock_write = microseconds(lambda: jsonpickle.encode(state))
    return (
        f"{name:28}{read:9.1f}{stock_read:9.1f}{stock_read / read:6.1f}x{write:9.1f}{stock_write:9.1f}"
        f"{stock_write / write:6.1f}x{len(ours):9}{len(theirs):9}\n"
    )


if __name__ == "__main__":
    main()
