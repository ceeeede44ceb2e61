"""The time of a message: the channel's moment on the sender's clock, always with an offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.local_time import received_at
from tests.unit.channel_activities import emulator_message


def received(**changes: Any) -> str:
    return received_at(emulator_message(**changes))


def test_the_senders_zone_is_used_by_its_name() -> None:
    assert received(localTimestamp=None) == "2026-03-29 14:30:00+02:00"
    assert received(localTimestamp=None, localTimezone="Asia/Kathmandu") == "2026-03-29 18:15:00+05:45"


def test_a_name_holds_over_summer_time() -> None:
    assert received(localTimestamp=None, timestamp="2026-03-29T00:59:59Z") == "2026-03-29 01:59:59+01:00"
    assert received(localTimestamp=None, timestamp="2026-03-29T01:00:00Z") == "2026-03-29 03:00:00+02:00"


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-03-29T14:30:00+02:00", "2026-03-29 14:30:00+02:00"),
        ("2026-03-29T05:30:00.1234567-07:00", "2026-03-29 05:30:00-07:00"),
        ("2026-03-29T09:00:00-03:30", "2026-03-29 09:00:00-03:30"),
        ("2026-03-29T18:15:00+05:45", "2026-03-29 18:15:00+05:45"),
        ("2026-03-29T12:30:00Z", "2026-03-29 12:30:00+00:00"),
    ],
)
def test_without_a_zone_name_the_offset_of_the_local_timestamp_is_used(local: str, expected: str) -> None:
    assert received(localTimezone=None, localTimestamp=local) == expected


def test_a_local_timestamp_that_some_hop_turned_into_utc_does_not_hide_the_zone() -> None:
    assert received(localTimestamp="2026-03-29T12:30:00Z") == "2026-03-29 14:30:00+02:00"


def test_the_channels_clock_decides_over_the_senders() -> None:
    assert received(localTimestamp="2031-01-01T00:00:00+02:00") == "2026-03-29 14:30:00+02:00"


def test_without_a_timestamp_the_local_timestamp_is_the_moment() -> None:
    assert received(timestamp=None) == "2026-03-29 14:30:00+02:00"


def test_without_zone_and_offset_the_time_is_in_utc() -> None:
    assert received(localTimezone=None, localTimestamp=None) == "2026-03-29 12:30:00+00:00"


def test_times_without_an_offset_are_utc_when_the_channels_and_ignored_when_the_senders() -> None:
    naive = {
        "timestamp": "2026-03-29T12:30:00",
        "localTimestamp": "2026-03-29T14:30:00",
        "localTimezone": None,
    }
    assert received(**naive) == "2026-03-29 12:30:00+00:00"


@pytest.mark.parametrize("unset", [None, "0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", None])
def test_without_any_time_it_is_the_present(unset: str | None, zone: str | None) -> None:
    shown = datetime.fromisoformat(received(timestamp=unset, localTimestamp=unset, localTimezone=zone))
    assert timedelta(seconds=-1) < datetime.now(UTC) - shown < timedelta(minutes=1)


@pytest.mark.parametrize(
    "zone",
    [
        "W. Europe Standard Time",
        "",
        "../../etc/passwd",
        "/etc/passwd",
        "Europe",
        ".",
        "zone.tab",
        "\x00",
        "x" * 9_999,
    ],
)
def test_a_zone_that_is_none_falls_back_to_the_offset(zone: str) -> None:
    assert received(localTimezone=zone) == "2026-03-29 14:30:00+02:00"


@settings(max_examples=100, deadline=None)
@given(zone=st.text(), moment=st.datetimes(timezones=st.timezones()) | st.datetimes() | st.none())
def test_no_zone_and_no_time_makes_it_raise(zone: str, moment: datetime | None) -> None:
    activity = emulator_message(localTimezone=zone)
    activity.timestamp = activity.local_timestamp = moment
    assert datetime.fromisoformat(received_at(activity)).tzinfo is not None
