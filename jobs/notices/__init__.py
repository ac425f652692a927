"""Telling the people who own the service: pings for a monitor, messages for what needs a person."""
