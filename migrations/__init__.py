"""The only author of DDL: Alembic's environment and revisions."""
