from datetime import UTC, date, datetime

from jobs.sandbox.clock import Clock


def test_without_a_set_date_the_share_is_that_of_the_real_day() -> None:
    clock = Clock(None, now=lambda: datetime(2026, 6, 15, 6, 0, 0, tzinfo=UTC))
    assert clock.today == date(2026, 6, 15)
    assert clock.share_of_today == 0.25


def test_a_set_share_goes_before_the_real_one() -> None:
    clock = Clock(None, 1.0, now=lambda: datetime(2026, 6, 15, 6, 0, 0, tzinfo=UTC))
    assert clock.share_of_today == 1.0
