"""The time windows that Pipefy can be asked for."""

import enum


class Period(enum.StrEnum):
    """A window of usage, in the words of Pipefy's ``PeriodFilter``.

    Source: Pipefy's documentation of integrationsUsageStats.
    """

    CURRENT_MONTH = "current_month"
    LAST_MONTH = "last_month"
    LAST_3_MONTHS = "last_3_months"

    @property
    def is_daily(self) -> bool:
        """Whether its history has a bucket for each day; else one for each month."""
        return self is not Period.LAST_3_MONTHS
