"""Where usage is kept: SQL tables, the record of runs, and Parquet snapshots."""
