"""A role that one process has at a time: a lease row whose epoch fences whoever held it before."""

from dataclasses import dataclass

from shared.db.database import Database, Transaction


class LeaseLost(Exception):
    """Somebody else holds the role now; what was done under the old lease must not be recorded."""


@dataclass(slots=True)
class RoleLease:
    """The lease of `role` in the service's schema, for `holder` (unique to the process), of `seconds`."""

    database: Database
    role: str
    holder: str
    seconds: float
    epoch: int = 0

    async def take(self) -> bool:
        """Acquire or extend the lease; return whether it is ours. A change of holder raises the epoch."""
        schema = self.database.schema
        async with self.database.connection() as connection:
            epoch = await connection.fetchval(
                f"INSERT INTO {schema}.role_lease AS l (role, holder, epoch, expires_at)"
                " VALUES ($1, $2, 1, statement_timestamp() + make_interval(secs => $3))"
                " ON CONFLICT (role) DO UPDATE SET holder = $2, expires_at = excluded.expires_at,"
                " epoch = l.epoch + (l.holder <> $2)::int"
                " WHERE l.holder = $2 OR l.expires_at < statement_timestamp() RETURNING epoch",
                self.role,
                self.holder,
                self.seconds,
            )
        self.epoch = epoch or 0
        return epoch is not None

    async def check(self, tx: Transaction) -> None:
        """Hold the lease fast until the transaction ends; raise LeaseLost if it is not ours any more."""
        held = await tx.connection.fetchval(
            f"SELECT 1 FROM {tx.schema}.role_lease WHERE role = $1 AND holder = $2 AND epoch = $3 FOR UPDATE",
            self.role,
            self.holder,
            self.epoch,
        )
        if held is None:
            raise LeaseLost(f"{tx.schema}: the role {self.role} has another holder")

    async def give_up(self) -> None:
        """End the lease now, so that the next holder need not wait for it to run out."""
        async with self.database.connection() as connection:
            await connection.execute(
                f"UPDATE {self.database.schema}.role_lease SET expires_at = '-infinity'"
                " WHERE role = $1 AND holder = $2",
                self.role,
                self.holder,
            )
