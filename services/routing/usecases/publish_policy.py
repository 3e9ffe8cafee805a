"""Make a linted policy the active one: nobody with open hand-offs is dropped, and queues wake."""

from services.routing.domain.policy import Policy
from services.routing.usecases.change_person import StillHolds
from services.routing.usecases.ports import Store


async def publish_policy(store: Store, policy: Policy, *, number: int, body: str, pushed_by: str) -> None:
    """Store and activate a version. Raises StillHolds with the people it drops who hold open hand-offs."""
    people = await store.people(None, lock=True)
    dropped = [
        key for key, row in people.items()
        if row.active and (key not in policy.people or not policy.people[key].active)
    ]  # fmt: skip
    if dropped:
        held = await store.held_by(dropped)
        if held:
            raise StillHolds(dict(held))
    await store.install(policy, number=number, body=body, pushed_by=pushed_by)
