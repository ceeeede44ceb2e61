"""Points in time in state, in the spelling of the stock codec and without its unpickling."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpickle.pickler import Pickler
from jsonpickle.unpickler import Unpickler

from storage import Codec, StateDecodeError

OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
TIMES = st.datetimes(timezones=st.none() | st.just(UTC) | OFFSETS)


@given(TIMES)
def test_a_time_comes_back_and_the_stock_codec_reads_and_writes_the_same(value: datetime) -> None:
    spelled = json.loads(json.dumps(Codec().encode(value, "k")))
    back = Codec().decode(spelled, "k")
    assert (back, back.utcoffset()) == (value, value.utcoffset())
    assert Unpickler().restore(json.loads(json.dumps(spelled))) == value
    stock = json.loads(json.dumps(Pickler().flatten(value)))
    assert Codec().decode(stock, "k") == value


def test_a_time_in_a_named_zone_keeps_its_moment_and_offset() -> None:
    value = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    back = Codec().decode(Codec().encode(value, "k"), "k")
    assert back.isoformat() == "2026-10-25T02:30:00+01:00"


MOMENT = [{"py/type": "datetime.datetime"}, ["B+oBAgMEBQAABg=="]]


@pytest.mark.parametrize(
    "reduced",
    [
        None,
        [],
        [{"py/type": "os.system"}, ["B+oBAgMEBQAABg=="]],
        [{"py/type": "datetime.datetime"}, ["not base64"]],
        [{"py/type": "datetime.datetime"}, ["AAAA"]],
        [{"py/type": "datetime.datetime"}, ["AAAAAAAAAAAAAA=="]],
        [{"py/type": "datetime.datetime"}, [7]],
        [*MOMENT[:1], [*MOMENT[1], {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["true"]}]}]],
        [*MOMENT[:1], [*MOMENT[1], {"py/object": "datetime.timezone"}]],
    ],
)
def test_another_shape_is_refused_with_its_place(reduced: Any) -> None:
    with pytest.raises(StateDecodeError) as refused:
        Codec().decode({"at": {"py/object": "datetime.datetime", "__reduce__": reduced}}, "k")
    assert (refused.value.key, refused.value.where) == ("k", "at")
