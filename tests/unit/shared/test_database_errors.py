"""Faults of the moment are told from bugs, and constraints from each other."""

import asyncpg
import pytest

from shared.db.errors import constraint_of, is_bad_value, is_of_the_installation, is_transient, translate

TRANSIENT = [
    asyncpg.ConnectionDoesNotExistError("gone"),
    asyncpg.ConnectionFailureError("gone"),
    asyncpg.LockNotAvailableError("lock time-out"),
    asyncpg.DeadlockDetectedError("deadlock"),
    asyncpg.SerializationError("again"),
    asyncpg.TooManyConnectionsError("too many clients"),
    asyncpg.ReadOnlySQLTransactionError("standby"),
    asyncpg.AdminShutdownError("shutting down"),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.QueryCanceledError("statement time-out"),
    asyncpg.DiskFullError("no space"),
    asyncpg.IdleInTransactionSessionTimeoutError("idle"),
    asyncpg.InterfaceError("connection is closed"),
    ConnectionRefusedError("no server"),
    FileNotFoundError("no socket"),
    TimeoutError("no connection in time"),
]
BUGS = [
    asyncpg.UniqueViolationError("twice"),
    asyncpg.UndefinedTableError("no such table"),
    asyncpg.InsufficientPrivilegeError("not yours"),
    asyncpg.PostgresSyntaxError("what"),
    asyncpg.NumericValueOutOfRangeError("too large"),
    ValueError("no"),
    KeyError("no"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
def test_faults_that_pass_are_transient(error: Exception) -> None:
    assert is_transient(error)
    assert not is_bad_value(error)


@pytest.mark.parametrize("error", BUGS, ids=lambda error: type(error).__name__)
def test_bugs_and_refusals_are_not_transient(error: Exception) -> None:
    assert not is_transient(error)


INSTALLATION = [
    asyncpg.InvalidPasswordError("who"),
    asyncpg.InvalidAuthorizationSpecificationError("may not log in"),
    asyncpg.InvalidCatalogNameError("no such database"),
    asyncpg.InvalidSchemaNameError("no such schema"),
    asyncpg.UndefinedTableError("no such table"),
    asyncpg.UndefinedColumnError("no such column"),
    asyncpg.InsufficientPrivilegeError("not yours"),
]
OF_VALUES = [
    asyncpg.UniqueViolationError("twice"),
    asyncpg.NumericValueOutOfRangeError("too large"),
    asyncpg.PostgresError("anything"),
    KeyError("no"),
]


@pytest.mark.parametrize("error", INSTALLATION, ids=lambda error: type(error).__name__)
def test_what_is_the_same_for_all_values_is_of_the_installation(error: Exception) -> None:
    assert is_of_the_installation(error)


@pytest.mark.parametrize("error", OF_VALUES, ids=lambda error: type(error).__name__)
def test_what_may_be_the_value_is_not_of_the_installation(error: Exception) -> None:
    assert not is_of_the_installation(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.NumericValueOutOfRangeError("too large"),
        asyncpg.CharacterNotInRepertoireError("NUL"),
        asyncpg.InvalidTextRepresentationError("not a uuid"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_values_the_database_refuses_are_bad_values(error: Exception) -> None:
    assert is_bad_value(error)


def test_a_constraint_is_translated_to_its_domain_error() -> None:
    taken = asyncpg.UniqueViolationError("twice")
    taken.__dict__["constraint_name"] = "uq_handoff_open"
    domain_error = RuntimeError("open_handoff")
    assert constraint_of(taken) == "uq_handoff_open"
    assert translate(taken, {"uq_handoff_open": domain_error}) is domain_error
    assert translate(taken, {"uq_other": domain_error}) is taken
    assert constraint_of(ValueError()) is None
