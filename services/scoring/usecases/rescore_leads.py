"""Score leads now, keep how they stand, tell routing what changed, arm the timer of the next change."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.scoring.domain.crossing import HORIZON, crossing_of
from services.scoring.domain.features import resolve_traits
from services.scoring.domain.score import Basis, Score, basis_of, score_of
from services.scoring.domain.snapshot import Told, due
from services.scoring.usecases.ports import Announcement, Engine, Inputs, Standing, Stores, Trigger
from shared.contracts.leads import LeadPerson, LeadScored, RecentActivity, ScoreLine

RECENT_ACTIVITIES = 10  # what a rep reads before the first call


@dataclass(frozen=True, slots=True)
class Assessment:
    """One lead, scored: its inputs, resolved traits with features, e-mails, the score and its basis."""

    inputs: Inputs
    traits: Mapping[str, Any]
    emails: tuple[str, ...]
    score: Score
    basis: Basis

    @property
    def contactable(self) -> bool:
        """Tell whether somebody could be contacted."""
        return bool(self.emails or self.traits.get("phone"))

    @property
    def told(self) -> Score:
        """Return the score as routing is told it: where nobody can be contacted no level is reached."""
        if self.contactable:
            return self.score
        return replace(self.score, enters=False, holds=False, level_reason=None, needs_data=False, missing=())


async def rescore_leads(
    stores: Stores,
    lead_ids: Collection[str],
    engine: Engine,
    *,
    triggers: Mapping[str, Trigger] | None = None,
    force: bool = False,
) -> None:
    """Score locked leads; a lead that nobody could contact only keeps its counts.

    `force` announces every lead that can be contacted or of which routing has heard (a new epoch).
    """
    tellable = await stores.leads.tellable(lead_ids) if lead_ids else []
    if not tellable:
        return
    # An event may bear the time of a process whose clock is ahead of ours; it is not left out for that.
    as_of = max([engine.now, *(trigger.received_at for trigger in (triggers or {}).values())])
    found = [assess(inputs, engine, as_of) for inputs in await stores.leads.inputs(tellable)]
    assessed = [a for a in found if a.contactable or a.inputs.told is not None]
    if not assessed:
        return
    changed = {a.inputs.lead_id: told_by(a, engine) for a in assessed}
    telling = [a for a in assessed if force or due(a.inputs.told, changed[a.inputs.lead_id])]
    entered = {a.inputs.lead_id: _entered_event(a, triggers or {}) for a in assessed}
    await stores.leads.stand([_standing(a, entered[a.inputs.lead_id]) for a in assessed], as_of)
    if telling:
        recent = await stores.timeline.recent([a.inputs.lead_id for a in telling], RECENT_ACTIVITIES)
        await stores.leads.announce(
            [
                Announcement(
                    _snapshot(
                        a, engine, recent.get(a.inputs.lead_id, []), (triggers or {}).get(a.inputs.lead_id)
                    ),
                    changed[a.inputs.lead_id],
                )
                for a in telling
            ]
        )
    told_now = {a.inputs.lead_id for a in telling}
    await stores.leads.arm({a.inputs.lead_id: _next_change(a, told_now) for a in assessed})


def assess(inputs: Inputs, engine: Engine, as_of: datetime) -> Assessment:
    """Score one lead at `as_of` with the engine's model."""
    emails = tuple(sorted(member.value for member in inputs.members if member.kind == "email"))
    traits = engine.features(resolve_traits(inputs.traits), emails)
    basis = basis_of(inputs.counts, traits, engine.compiled, as_of=as_of, cut=inputs.cut)
    return Assessment(inputs, traits, emails, score_of(basis, as_of), basis)


def told_by(assessment: Assessment, engine: Engine) -> Told:
    """Return what a snapshot of this assessment would tell."""
    s, inputs = assessment.told, assessment.inputs
    return Told(
        fit=s.fit,
        engagement=s.engagement,
        grade=s.grade,
        enters=s.enters,
        holds=s.holds,
        level_reason=s.level_reason,
        needs_data=s.needs_data,
        missing=s.missing,
        hand_raised_at=s.hand_raised_at,
        cycle=inputs.cycle,
        cut=inputs.cut,
        routing_traits=routing_traits(assessment, engine),
        do_not_contact=_do_not_contact(assessment),
        members=frozenset({f"{who.kind}:{who.value}" for who in inputs.members} | set(inputs.merged_ids)),
        contactable=assessment.contactable,
    )


def routing_traits(assessment: Assessment, engine: Engine) -> dict[str, Any]:
    """Return the traits that routing may read, sorted by name."""
    names = engine.compiled.model.routing_traits
    return {name: assessment.traits[name] for name in sorted(names) if name in assessment.traits}


def score_lines(result: Score) -> list[ScoreLine]:
    """Return the lines of a score as the contract spells them."""
    return [
        ScoreLine(
            line.dimension, line.rule, line.kind, line.points, line.label, line.status, dict(line.inputs)
        )
        for line in result.lines
    ]


def _do_not_contact(assessment: Assessment) -> bool:
    value = assessment.traits.get("do_not_contact", False)
    return value.strip().casefold() in ("true", "yes", "1") if isinstance(value, str) else bool(value)


def _entered_event(assessment: Assessment, triggers: Mapping[str, Trigger]) -> str | None:
    """Return the activity with which the lead entered the level: after an unmerge the hand-off follows it."""
    inputs, trigger = assessment.inputs, triggers.get(assessment.inputs.lead_id)
    entered_before = inputs.told is not None and inputs.told.enters and inputs.told.cycle == inputs.cycle
    if assessment.score.enters and not entered_before and trigger is not None:
        return trigger.event_id
    return inputs.entered_event_id


def _standing(assessment: Assessment, entered_event_id: str | None) -> Standing:
    s, inputs = assessment.score, assessment.inputs
    return Standing(
        lead_id=inputs.lead_id,
        contactable=assessment.contactable,
        email=assessment.traits.get("email"),
        company_domain=assessment.traits.get("company_domain"),
        fit=s.fit,
        engagement=s.engagement,
        grade=s.grade,
        enters=s.enters,
        holds=s.holds,
        needs_data=s.needs_data,
        cycle=inputs.cycle,
        first_seen_at=inputs.first_seen_at,
        last_seen_at=inputs.last_seen_at,
        entered_event_id=entered_event_id,
    )


def _snapshot(
    assessment: Assessment, engine: Engine, recent: list[RecentActivity], trigger: Trigger | None
) -> LeadScored:
    s, inputs = assessment.told, assessment.inputs
    return LeadScored(
        lead_id=inputs.lead_id,
        epoch=engine.epoch,
        revision=inputs.revision + 1,
        cycle=inputs.cycle,
        as_of=s.as_of,
        fit=s.fit,
        engagement=s.engagement,
        grade=s.grade,
        enters=s.enters,
        holds=s.holds,
        model_version=s.model_version,
        lines=score_lines(s),
        cut=inputs.cut,
        level_reason=s.level_reason,
        hand_raise=s.hand_raise,
        needs_data=s.needs_data,
        missing=list(s.missing),
        traits=routing_traits(assessment, engine),
        do_not_contact=_do_not_contact(assessment),
        merged_ids=list(inputs.merged_ids),
        recent=recent,
        first_seen_at=inputs.first_seen_at,
        hand_raised_at=s.hand_raised_at,
        trigger_event_id=trigger.event_id if trigger else None,
        trigger_received_at=trigger.received_at if trigger else None,
        person=_person(assessment),
    )


def _person(assessment: Assessment) -> LeadPerson:
    primary = assessment.traits.get("email")
    texts = {name: assessment.traits.get(name) for name in ("phone", "first_name", "last_name")}
    return LeadPerson(
        email=primary,
        other_emails=[email for email in assessment.emails if email != primary],
        **{name: str(value) for name, value in texts.items() if value is not None},
    )


def _next_change(assessment: Assessment, told_now: set[str]) -> datetime | None:
    inputs = assessment.inputs
    published = assessment.score.engagement if inputs.lead_id in told_now else None
    if published is None and inputs.told is not None:
        published = inputs.told.engagement
    found = crossing_of(assessment.basis, assessment.score.as_of, published_engagement=published)
    # What fades more slowly than the search looks ahead is looked at again when it ends.
    return found or (assessment.score.as_of + HORIZON if inputs.counts else None)
