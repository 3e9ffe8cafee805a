"""Change what moves about a person: presence, absence, weight, rotation, activity; and wake the queues."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from services.routing.usecases.act_on_handoff import NotFound
from services.routing.usecases.person_row import PersonRow
from services.routing.usecases.ports import Store


class StillHolds(Exception):
    """Whoever holds open hand-offs is not deactivated or dropped; `held` names them by person."""

    def __init__(self, held: dict[str, list[str]]) -> None:
        super().__init__("people hold open hand-offs")
        self.held = held


class ChangedMeanwhile(Exception):
    """The person is at another version than the caller read."""

    def __init__(self, version: int) -> None:
        super().__init__("changed meanwhile")
        self.version = version


async def change_person(
    store: Store, person_id: str, changes: dict[str, Any], *, expected_version: int | None = None
) -> PersonRow:
    """Apply `changes` (fields of PersonRow); return the new row.

    Raises NotFound, StillHolds, ChangedMeanwhile.
    """
    found = await store.people([person_id], lock=True)
    if person_id not in found:
        raise NotFound(person_id)
    row = found[person_id]
    if expected_version is not None and expected_version != row.version:
        raise ChangedMeanwhile(row.version)
    if changes.get("active") is False and row.active:
        held = await store.held_by([person_id])
        if held:
            raise StillHolds(dict(held))
    terms = await store.terms()
    changed = replace(row, **changes)
    if changed == row:
        return row
    now: datetime = terms.now
    changed = replace(changed, version=row.version + 1, changed_at=now)
    await store.save_person(changed)
    return changed
