"""All that knows Pipefy: its queries, its answers, its errors and how to ask it."""
