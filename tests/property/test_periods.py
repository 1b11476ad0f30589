"""When packages end: the calendar, against one that counts day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from opencen.domain.expiry import MAX_MONTHS, end_of_period, renewed_until

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
MONTHS = st.integers(1, MAX_MONTHS)


@given(MOMENTS, MONTHS)
def test_a_period_ends_on_the_same_day_of_the_month_or_its_last_one(bought_at: datetime, months: int) -> None:
    ends = end_of_period(bought_at, months)
    assert ends.date() == _counted(bought_at.date(), months)
    assert (ends.hour, ends.minute, ends.second, ends.microsecond) == (16, 0, 0, 0)


@given(MOMENTS, MOMENTS, MONTHS)
def test_a_renewal_always_lasts_beyond_now_and_beyond_the_present_end(
    expires_at: datetime, now: datetime, months: int
) -> None:
    ends = renewed_until(expires_at, now, months)
    assert ends > now
    assert ends > expires_at
    assert ends - max(expires_at, now) <= timedelta(days=31 * months + 1)


def _counted(day: date, months: int) -> date:
    """Walk on until so many months have begun, then to the same day or to the end of that month."""
    wanted, begun = day.day, 0
    while begun < months:
        day += timedelta(days=1)
        begun += day.day == 1
    while day.day < wanted and (day + timedelta(days=1)).month == day.month:
        day += timedelta(days=1)
    return day
