"""The three ways in which handling a batch can end other than well, and the handler's signature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.bus.port import Record
from shared.db.database import Transaction


@dataclass(frozen=True, slots=True)
class Rejection:
    """Poison: this record can never be handled. `code` is stable, `detail` is for a person."""

    record: Record
    code: str
    detail: str


class Retry(Exception):
    """A dependency is down: handle the same batch again later, skip nothing."""


class Handler(Protocol):
    """Handles a batch of records (in order within each partition) inside the consumer's transaction.

    Returns the poison among them. Raises Retry when a dependency is down; any other exception is a bug:
    the consumer bisects the batch and dead-letters what fails alone. Must be idempotent by natural keys.
    """

    async def __call__(self, tx: Transaction, records: Sequence[Record]) -> Sequence[Rejection]: ...
