"""Record a batch of activity: timeline, links, leads, counts, traits, then score the leads it touched."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain

from services.scoring.domain.activity import identities_of, wins
from services.scoring.domain.identity import Identity
from services.scoring.usecases.ports import ConcurrentChange, Engine, Entry, Known, Stores, Trigger
from services.scoring.usecases.reclassify import reclassify
from services.scoring.usecases.rescore_leads import rescore_leads
from services.scoring.usecases.settle_leads import Settled, settle_leads


async def record_activity(entries: Sequence[Entry], stores: Stores, engine: Engine) -> Settled:
    """Store what is new in `entries` and score the leads it touches; what is known already changes nothing.

    Locks identities, then leads, each in sorted order. Raises `ConcurrentChange` where all must be redone.
    """
    lowest = _lowest_bodies(entries)
    known = await stores.timeline.known(list(lowest))
    fresh = [entry for event_id, entry in lowest.items() if _counts(entry, known.get(event_id))]
    if not fresh:
        return Settled()
    replaced = {
        e.activity.event_id: known[e.activity.event_id] for e in fresh if e.activity.event_id in known
    }
    named = {entry.activity.event_id: identities_of(entry.activity) for entry in fresh}
    relinked, owners, dirty = await _store(fresh, named, replaced, stores, engine)
    touched = set(owners.values()) | relinked | dirty
    touched |= {who for who in _everybody(named) if who.kind != "anonymous"}
    settled = await settle_leads(stores, touched, engine, links_changed=bool(relinked))
    dirty |= await reclassify(stores, settled.lead_of, settled.stale, engine)
    await _bring_caches_up(fresh, owners, dirty, stores)
    await rescore_leads(stores, settled.leads, engine, triggers=_triggers(fresh, owners, settled))
    return settled


def _lowest_bodies(entries: Sequence[Entry]) -> dict[str, Entry]:
    lowest: dict[str, Entry] = {}
    for entry in entries:
        event_id = entry.activity.event_id
        held = lowest.get(event_id)
        if held is None or wins(held.activity, entry.activity) is not held.activity:
            lowest[event_id] = entry
    return lowest


def _counts(entry: Entry, known: Known | None) -> bool:
    activity = entry.activity
    return known is None or (activity.occurred_at, activity.body_hash) < (known.occurred_at, known.body_hash)


def _everybody(named: Mapping[str, tuple[Identity, ...]]) -> set[Identity]:
    return set(chain.from_iterable(named.values()))


async def _store(
    fresh: Sequence[Entry],
    named: Mapping[str, tuple[Identity, ...]],
    replaced: Mapping[str, Known],
    stores: Stores,
    engine: Engine,
) -> tuple[set[Identity], dict[str, Identity], set[Identity]]:
    """Write links and rows. Return identities in new or dropped links, rows' owners, owners to recount."""
    former = {identity for known in replaced.values() for identity in known.identities}
    dirty = {known.owner for known in replaced.values()}
    await stores.identities.lock(_everybody(named) | former | dirty, engine.now)
    if replaced:
        if await stores.timeline.known(list(replaced)) != replaced:
            raise ConcurrentChange("another batch has replaced the body of one of these events")
        await stores.identities.forget_links(list(replaced))
    linking = [entry for entry in fresh if len(named[entry.activity.event_id]) > 1]
    relinked = await stores.identities.add_links(linking) | former
    if relinked:
        await stores.identities.mark_hubs(relinked, engine.hub_limit)
    owners = await stores.timeline.put(fresh, replaced.keys())
    # Any link of an anonymous id may move the borders of its intervals, a link of a known pair too.
    linked = {who for entry in linking for who in named[entry.activity.event_id]} | former
    linked = {who for who in linked if who.kind == "anonymous"}
    if linked:
        dirty |= await stores.timeline.reown(linked)
    dirty |= {owners[event_id] for event_id in replaced}
    return relinked, owners, dirty


async def _bring_caches_up(
    fresh: Sequence[Entry], owners: Mapping[str, Identity], dirty: set[Identity], stores: Stores
) -> None:
    added = [entry for entry in fresh if owners[entry.activity.event_id] not in dirty]
    if added:
        await stores.timeline.add_counts(added, owners)
        await stores.timeline.add_traits(added, owners)
    if dirty:
        await stores.timeline.rebuild(dirty)


def _triggers(fresh: Sequence[Entry], owners: Mapping[str, Identity], settled: Settled) -> dict[str, Trigger]:
    """Return the activity received last for each lead: it started the clock of our own delay."""
    latest: dict[str, tuple[datetime, str]] = {}
    for entry in fresh:
        activity = entry.activity
        lead_id = settled.lead_of[owners[activity.event_id]]
        received = activity.received_at, activity.event_id
        if lead_id not in latest or latest[lead_id] < received:
            latest[lead_id] = received
    return {lead_id: Trigger(event_id, at) for lead_id, (at, event_id) in latest.items()}
