"""The exit statuses that scripts can rely on."""

SUCCEEDED = 0
SOME_FAILED = 1
NOTHING_DONE = 2
LOCKED = 3
INTERRUPTED = 130  # what a shell reports for a program that was stopped by Ctrl-C
