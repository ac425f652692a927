"""What can go wrong in storage, grouped by what to do next.

StorageError
├── DatabaseError            the database refused or could not be reached: see its message, then run again
│   └── DatabaseUnavailableError   it could not be opened at all: mend the address or start the server
├── SchemaError              the tables are not those of this version: migrate, or update the program
├── RunInProgressError       another run holds the lock: wait for it
├── RunAlreadyDoneError      the due run has succeeded: nothing is left to do
├── InvalidFrameError        a frame breaks its table's contract: a defect of this program, nothing was stored
└── SnapshotError            a Parquet file could not be written or read: mend the folder, then run again
"""


class StorageError(Exception):
    """Anything that storage raises on purpose; its message says where, what and how to mend it."""


class DatabaseError(StorageError):
    """The database refused a statement or went away; the transaction in hand was rolled back."""


class DatabaseUnavailableError(DatabaseError):
    """The database could not be opened: wrong address, wrong password, no server, no driver."""


class SchemaError(StorageError):
    """The tables are older or newer than this version of the program needs."""


class RunInProgressError(StorageError):
    """Another run holds the lock of this database; nothing was done."""


class RunAlreadyDoneError(StorageError):
    """The run that was due at this instant has succeeded already; nothing was done."""


class InvalidFrameError(StorageError):
    """A frame has a null or repeated key, or other columns than its table; nothing of it was stored."""


class SnapshotError(StorageError):
    """A snapshot could not be prepared, read or published; the published files are as they were."""
