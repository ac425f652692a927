"""Which notices were sent: each is sent once, whoever restarts meanwhile."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from storage.tables import notices


def unsent(connection: sa.Connection, keys: Sequence[str]) -> list[str]:
    """Those of the keys that were never recorded as sent, each once, in their order."""
    sent = set(connection.scalars(sa.select(notices.c.key).where(notices.c.key.in_(keys))))
    return [key for key in dict.fromkeys(keys) if key not in sent]


def record_sent(connection: sa.Connection, keys: Sequence[str], *, at: datetime) -> None:
    """Records that what the keys stand for has been told."""
    fresh = unsent(connection, keys)
    if fresh:
        connection.execute(notices.insert(), [{"key": key, "sent_at": at} for key in fresh])
