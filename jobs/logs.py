"""How the service writes what it does: for humans on a terminal, JSON elsewhere; one event a line."""

import logging
import sys
from typing import Literal

import structlog


def configure_logs(log_format: Literal["auto", "human", "json"]) -> None:
    """Sends structlog's events, and the warnings of libraries, to standard error."""
    human = sys.stderr.isatty() if log_format == "auto" else log_format == "human"
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Not rich's, which show local variables: those hold secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
        if human
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ" if human else "iso", utc=True),
    ]
    tracebacks: list[structlog.typing.Processor] = [] if human else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *tracebacks, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Standard error as it is when something is said: a progress bar borrows it for a while.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # APScheduler logs through the standard library; its warnings belong in the same stream.
    forwarding = _StandardError()
    forwarding.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tracebacks, render],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    scheduler = logging.getLogger("apscheduler")
    scheduler.handlers = [forwarding]
    scheduler.propagate = False


class _StandardError(logging.Handler):
    """Writes to standard error as it is when something is said."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 # that is what it is for
        except Exception:  # noqa: BLE001 # as the library's own handlers do: a log line must not stop a run
            self.handleError(record)
