"""A stand-in for Pipefy's API: for the demo, for trying a configuration, and for tests.

It answers from a real GraphQL engine over `schema.graphql`, invents organizations and usage from
a seed, keeps Pipefy's limits, and can be told to fail in every way that a client has to bear.
"""

from jobs.sandbox.accounts import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Account
from jobs.sandbox.book import SAMPLE_STATS
from jobs.sandbox.limits import Limits
from jobs.sandbox.organizations import Organization
from jobs.sandbox.periods import PERIODS, Period
from jobs.sandbox.record import ReceivedRequest
from jobs.sandbox.sandbox import Sandbox

__all__ = [
    "DEFAULT_CLIENT_ID",
    "DEFAULT_CLIENT_SECRET",
    "PERIODS",
    "SAMPLE_STATS",
    "Account",
    "Limits",
    "Organization",
    "Period",
    "ReceivedRequest",
    "Sandbox",
]
