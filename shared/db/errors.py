"""Which database faults pass by themselves, and which constraint stands for which domain error."""

from collections.abc import Mapping
from typing import Any

import asyncpg

# SQLSTATE classes and codes after which the same call may succeed: connection lost (08), out of resources
# (53), operator intervention and time-outs (57), deadlock and serialization (40), lock not available (55P03),
# read-only (25006), idle-in-transaction time-out (25P03), system error (58), database closed to connections
# for maintenance (55000).
_TRANSIENT_CLASSES = ("08", "53", "57", "40", "58")
_TRANSIENT_CODES = frozenset({"55P03", "55000", "25006", "25P03"})
# Who we are (28, 0P), which database and schema (3D, 3F), what is there and what we may do with it (42): the
# same for every value, until somebody mends the installation.
_INSTALLATION_CLASSES = ("28", "0P", "3D", "3F", "42")

RETRY_AFTER_SECONDS = 2


def is_transient(error: BaseException) -> bool:
    """Return whether `error` is a fault of the moment: answer 503 or retry, do not count it as a bug."""
    if isinstance(error, asyncpg.PostgresError):
        code = getattr(error, "sqlstate", None) or ""
        return code in _TRANSIENT_CODES or code.startswith(_TRANSIENT_CLASSES)
    if isinstance(error, asyncpg.InternalClientError):
        return True  # the protocol got out of step: the connection was cut in the middle of an answer
    if isinstance(error, asyncpg.InterfaceError):
        # Wrong arguments are ValueErrors too (DataError); those are bugs. The rest is about lost connections.
        return not isinstance(error, ValueError)
    return isinstance(error, OSError | TimeoutError)


def is_of_the_installation(error: BaseException) -> bool:
    """Return whether the database refused us, or lacks what we ask for, whatever the values were."""
    if not isinstance(error, asyncpg.PostgresError):
        return False
    return (getattr(error, "sqlstate", None) or "").startswith(_INSTALLATION_CLASSES)


def is_bad_value(error: BaseException) -> bool:
    """Return whether the database (or its client) refused a value as such: too large, not text."""
    if isinstance(error, asyncpg.PostgresError):
        return (getattr(error, "sqlstate", None) or "").startswith("22")
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def constraint_of(error: BaseException) -> str | None:
    """Return the name of the constraint an integrity error violated, None for other errors."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        name: Any = getattr(error, "constraint_name", None)
        return str(name) if name else None
    return None


def translate(error: BaseException, table: Mapping[str, Exception]) -> BaseException:
    """Return the domain error that stands for the violated constraint, or `error` itself.

    Usage: `except asyncpg.IntegrityConstraintViolationError as e: raise translate(e, TABLE) from e`.
    """
    return table.get(constraint_of(error) or "", error)
