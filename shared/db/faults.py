"""Telling a database that is not there now from a statement that is wrong."""

import asyncpg

# Classes of SQLSTATE: connection, transaction rolled back (deadlock), resources, not in the needed state
# (lock not available), operator intervention (shutdown, cancelled), system error (I/O), internal.
TRANSIENT_CLASSES = frozenset({"08", "40", "53", "55", "57", "58", "XX"})
IDLE_TOO_LONG = "25P03"


def is_transient(fault: BaseException) -> bool:
    """Return whether the same work may succeed later: lost connections, time-outs, locks, restarts."""
    if isinstance(fault, asyncpg.PostgresError):
        state = str(fault.sqlstate or "")
        return state[:2] in TRANSIENT_CLASSES or state == IDLE_TOO_LONG
    if isinstance(fault, asyncpg.InterfaceError):
        return not isinstance(fault, ValueError)  # a ValueError too: an argument of the wrong type
    return isinstance(fault, OSError | TimeoutError)
