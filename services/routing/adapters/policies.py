"""Policy versions: stored resolved (holiday dates included), decoded once per process."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from services.routing.adapters.rows import as_json
from services.routing.adapters.timer_rows import HEARTBEAT
from services.routing.domain.policy import Policy
from services.routing.domain.sla import OUTAGE_GAP_SECONDS
from services.routing.usecases.desk import Terms
from shared.db.database import Connection

_POLICY = msgspec.json.Decoder(Policy)
# Outages older than this no longer touch a running clock: targets are shorter.
OUTAGE_MEMORY = "90 days"


# Whoever comes back before the first heartbeat after an outage has to know of it too: it lasts until now.
_OUTAGES = f"""
SELECT began_at, ended_at FROM routing.outage
WHERE ended_at + interval '{OUTAGE_MEMORY}' > coalesce($1::timestamptz, statement_timestamp())
UNION ALL
SELECT beat_at, coalesce($1, statement_timestamp()) FROM routing.heartbeat
WHERE name = '{HEARTBEAT}'
  AND beat_at < coalesce($1, statement_timestamp()) - interval '{OUTAGE_GAP_SECONDS} seconds'
"""


class NoPolicy(RuntimeError):
    """No policy has been installed yet; the service installs its default at the first start."""


@dataclass(slots=True)
class PolicyShelf:
    """Decoded policies by version, with the weights that were changed by hand put in."""

    _by_version: dict[str, Policy] = field(default_factory=dict)
    _weighted: tuple[str, dict[str, int], Policy] | None = None

    async def terms(self, connection: Connection, now: datetime | None) -> Terms:
        """Return what holds now; `now` None means the database's instant."""
        row = await connection.fetchrow(
            f"""
            SELECT coalesce($1::timestamptz, statement_timestamp()) AS now,
                (SELECT version FROM routing.policy WHERE active) AS version,
                (SELECT coalesce(jsonb_agg(jsonb_build_array(began_at, ended_at) ORDER BY began_at), '[]')
                 FROM ({_OUTAGES}) AS known)::text AS outages,
                (SELECT coalesce(jsonb_object_agg(person_id, active), '{{}}') FROM routing.person
                 WHERE NOT active)::text AS active,
                (SELECT coalesce(jsonb_object_agg(person_id, weight), '{{}}') FROM routing.person
                 WHERE weight IS NOT NULL)::text AS weights
            """,
            now,
        )
        if row is None or row["version"] is None:
            raise NoPolicy
        policy = await self._policy(connection, row["version"])
        outages = msgspec.json.decode(row["outages"], type=list[tuple[datetime, datetime]])
        weights = msgspec.json.decode(row["weights"], type=dict[str, int])
        active = msgspec.json.decode(row["active"], type=dict[str, bool])
        return Terms(row["now"], self._weigh(policy, weights), outages, active)

    async def _policy(self, connection: Connection, version: str) -> Policy:
        if version not in self._by_version:
            stored = await connection.fetchval(
                "SELECT resolved::text FROM routing.policy WHERE version = $1", version
            )
            self._by_version[version] = _POLICY.decode(stored)
        return self._by_version[version]

    def _weigh(self, policy: Policy, weights: dict[str, int]) -> Policy:
        if not weights:
            return policy
        if self._weighted is None or self._weighted[:2] != (policy.version, weights):
            people = {
                key: replace(person, weight=weights[key]) if key in weights else person
                for key, person in policy.people.items()
            }
            self._weighted = (policy.version, weights, replace(policy, people=people))
        return self._weighted[2]


async def active_text(connection: Connection) -> Mapping[str, Any] | None:
    """Return version, number, text and origin of the active policy."""
    row = await connection.fetchrow(
        "SELECT version, number, body, pushed_by, pushed_at FROM routing.policy WHERE active"
    )
    return dict(row) if row else None


async def next_number(connection: Connection) -> int:
    """Return the number of the version to come, and keep others from taking it in this transaction."""
    await connection.execute("LOCK TABLE routing.policy IN SHARE ROW EXCLUSIVE MODE")
    return int(await connection.fetchval("SELECT coalesce(max(number), 0) + 1 FROM routing.policy"))


async def publish(
    connection: Connection, policy: Policy, *, number: int, body: str, pushed_by: str, at: datetime
) -> None:
    """Store a version and make it the active one; the table is locked by `next_number`."""
    await connection.execute("UPDATE routing.policy SET active = false WHERE active")
    await connection.execute(
        "INSERT INTO routing.policy (version, number, body, resolved, pushed_by, pushed_at, active)"
        " VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, true)",
        policy.version, number, body, as_json(policy), pushed_by, at,
    )  # fmt: skip
