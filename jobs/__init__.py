"""The export job: Pipefy's integrations usage, fetched each day and kept for good."""

__version__ = "0.1.0"
