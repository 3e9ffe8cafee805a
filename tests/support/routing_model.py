"""A small model of routing, after DESIGN 3, 5 and 7 alone: what a lead must be after each thing that happens.

Whose turn it is, the model does not know: it says who may get a lead, and takes over who got it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.routing.domain.policy import ClockKind
from tests.support.clock_model import ModelClock, ModelTerms, Span

HELD = ("assigned", "accepted", "working", "opportunity")
CLOCKS: dict[str, ClockKind] = {
    "qualified": "assign", "assigned": "accept", "accepted": "first_touch", "working": "qualify",
    "opportunity": "stage_age", "recycled": "cool_down",
}  # fmt: skip
LEGAL = {
    "accept": {"assigned"},
    "contact": set(HELD),
    "qualify": {"working", "opportunity"},
    "win": {"opportunity"},
    "lose": {"opportunity"},
    "reject": {"assigned", "accepted", "working"},
    "recycle": {"accepted", "working", "opportunity", "lost"},
    "reassign": {"qualified", *HELD},
    "hand_back": {"assigned", "accepted", "working"},
    "disqualify": {"nurturing", "qualified", "assigned", "accepted", "working", "recycled"},
    "reopen": {"disqualified"},
}
# Do-not-contact first, then open hand-offs, then what waits or cools down (DESIGN 3, decision 64).
STAYS = (
    "opportunity", "working", "accepted", "assigned", "qualified", "recycled", "won", "disqualified", "lost",
    "nurturing",
)  # fmt: skip
REASONS = {"no_budget": 3600, "junk": None}
MAX_CYCLES = 5
MAX_REASSIGNS = 2

Told = tuple[str, str, str, int, str, bool]
"""(kind, clock, lead, rung, action, during an outage)."""


@dataclass
class ModelSnapshot:
    """The latest thing that scoring said."""

    cycle: int
    enters: bool
    holds: bool
    do_not_contact: bool = False


@dataclass
class ModelHandoff:
    """One hand-off: what was done on it, by whom; `ended_by` is the act that closed it."""

    id: str
    person: str
    assigned_at: datetime
    acts: set[tuple[str, str]] = field(default_factory=set)
    contacted: bool = False
    stage: str | None = None
    ended_by: tuple[str, str] | None = None


@dataclass
class ModelLead:
    """One lead. `excluded`: a decision is due, and it must not be one of these."""

    id: str
    state: str = "nurturing"
    since: datetime | None = None
    cycle: int = 1
    recycles: int = 0
    reassigns: int = 0
    holder: str | None = None
    rejected_by: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    do_not_contact: bool = False
    handoff: ModelHandoff | None = None
    clock: ModelClock | None = None
    excluded: set[str] | None = None
    snapshot: ModelSnapshot | None = None
    revision: int = 0


class Model:
    """All leads, and what must have been told since somebody looked (`told`)."""

    def __init__(self, terms: Mapping[ClockKind, ModelTerms], now: datetime) -> None:
        self.terms = terms
        self.now = now
        self.leads: dict[str, ModelLead] = {}
        self.redirects: dict[str, str] = {}
        self.split: set[str] = set()
        self.handoffs: dict[str, ModelHandoff] = {}
        self.outages: list[Span] = []
        self.told: list[Told] = []
        self.silent: set[str] = set()
        self.parked = 0

    def survivor(self, lead_id: str) -> str:
        """Follow redirects."""
        while lead_id in self.redirects:
            lead_id = self.redirects[lead_id]
        return lead_id

    # What clocks do

    def start_clock(self, lead: ModelLead, seconds: int | None = None) -> None:
        """Start the clock of the lead's state; a queue's only when the decision has found nobody."""
        kind = CLOCKS.get(lead.state)
        if kind is not None:
            terms = ModelTerms(seconds) if seconds is not None else self.terms[kind]
            lead.clock = ModelClock(kind, terms, self.now)

    def end_clock(self, lead: ModelLead, told_of: str | None = None, *, done: bool = False) -> None:
        """The act was `done`, or is not asked any more; what was missed is told."""
        clock = lead.clock
        if clock is not None:
            said = clock.end(self.now, self.outages, done=done)
            for kind, rung, action, outage in said:
                self.told.append((kind, clock.kind, told_of or lead.id, rung, action, outage))
            lead.clock = None

    def turn(self) -> None:
        """The timer looks: everything due is told, ladders act, cool-downs end."""
        for lead in self.leads.values():
            if lead.clock is None:
                continue
            if lead.clock.kind == "cool_down":
                if lead.clock.target_at() <= self.now:
                    self._cooled_down(lead)
                continue
            self._fire(lead, lead.clock)

    def _fire(self, lead: ModelLead, clock: ModelClock) -> None:
        person = lead.handoff.person if lead.handoff else ""
        said = clock.fire(self.now, self.outages)
        guarded = lead.reassigns >= MAX_REASSIGNS
        for kind, rung, action, outage in said:
            done = "notify" if action == "reassign" and guarded else action
            self.told.append((kind, clock.kind, lead.id, rung, done, outage))
            if done == "out_of_rotation":
                self.silent.add(person)
            elif done == "reassign":
                self._take_away(lead, ("reassign", clock.kind))
                lead.reassigns += 1

    def _cooled_down(self, lead: ModelLead) -> None:
        self.move(lead, "nurturing")
        if lead.snapshot is not None:
            self._evaluate(lead, lead.snapshot)

    # What leads do

    def move(self, lead: ModelLead, state: str, seconds: int | None = None, *, done: bool = False) -> None:
        """Enter a state: the clock of the old one ends (its act was `done`?), that of the new one starts."""
        self.end_clock(lead, done=done)
        lead.state, lead.since = state, self.now
        lead.excluded = set() if state == "qualified" else None
        if state not in (*HELD, "won", "lost"):
            lead.holder = None
        if state != "qualified":
            self.start_clock(lead, seconds)

    def snapshot(self, lead_id: str, revision: int, said: ModelSnapshot) -> None:
        """Scoring said something; only the newest counts, and only about routing's own cycle."""
        if lead_id in self.redirects:
            return
        lead = self.leads.setdefault(lead_id, ModelLead(lead_id, since=self.now))
        if revision > lead.revision:
            lead.revision, lead.snapshot = revision, said
            self._evaluate(lead, said)

    def _evaluate(self, lead: ModelLead, said: ModelSnapshot) -> None:
        if said.do_not_contact:
            if lead.state not in ("won", "disqualified"):
                self._close(lead, ("disqualify", "snapshot"))
                self.move(lead, "disqualified")
                lead.do_not_contact = True
        elif said.cycle != lead.cycle:
            return
        elif lead.state in ("nurturing", "won") and said.enters and not lead.do_not_contact:
            self.move(lead, "qualified")
        elif lead.state == "qualified" and not said.enters and not said.holds:
            self.move(lead, "nurturing")

    def _close(self, lead: ModelLead, by: tuple[str, str] | None) -> None:
        if lead.handoff is not None:
            lead.handoff.ended_by = by
            lead.handoff = None

    def _take_away(self, lead: ModelLead, by: tuple[str, str]) -> None:
        assert lead.handoff is not None
        person = lead.handoff.person
        lead.tried.add(person)
        if lead.state != "opportunity":
            self._close(lead, by)
            self.move(lead, "qualified")
        lead.excluded = {person}

    def _next_cycle(self, lead: ModelLead) -> None:
        lead.cycle += 1
        lead.tried, lead.reassigns = set(), 0

    def assigned(self, lead: ModelLead, handoff: ModelHandoff) -> None:
        """Take over whom the decision chose."""
        stage = lead.handoff.stage if lead.handoff else None
        self._close(lead, None)
        self.handoffs[handoff.id] = handoff
        if lead.state == "qualified":
            self.move(lead, "assigned", done=True)
        else:
            self.end_clock(lead)
            self.start_clock(lead)
            handoff.stage = stage
        lead.handoff, lead.holder, lead.excluded = handoff, handoff.person, None

    # What people do

    def act(self, lead: ModelLead, act: str, by: str, argument: str = "") -> str:
        """Do an act on the lead and its open hand-off: `changed`, `same` or `illegal`."""
        if self._repeated(lead, act, by, argument):
            return "same"
        if lead.state not in LEGAL[act]:
            return "illegal"
        handoff = lead.handoff
        getattr(self, f"_{act}")(lead, (act, by), argument)
        if handoff is not None:
            handoff.acts.add((act, by))
        return "changed"

    def _repeated(self, lead: ModelLead, act: str, by: str, argument: str) -> bool:
        handoff = lead.handoff
        if handoff is None:
            return False
        if act == "contact":
            return handoff.contacted
        if act == "qualify":
            return handoff.stage == argument
        return (act, by) in handoff.acts

    def _accept(self, lead: ModelLead, _by: tuple[str, str], _: str) -> None:
        self.move(lead, "accepted", done=True)

    def _contact(self, lead: ModelLead, by: tuple[str, str], _: str) -> None:
        assert lead.handoff is not None
        lead.handoff.contacted = True
        if lead.state == "assigned":
            lead.handoff.acts.add(("accept", by[1]))
        if lead.state in ("assigned", "accepted"):
            self.move(lead, "working", done=True)

    def _qualify(self, lead: ModelLead, _by: tuple[str, str], stage: str) -> None:
        assert lead.handoff is not None
        lead.handoff.stage = stage
        self.move(lead, "opportunity", done=True)

    def _win(self, lead: ModelLead, by: tuple[str, str], _: str) -> None:
        self._close(lead, by)
        self.move(lead, "won", done=True)
        self._next_cycle(lead)
        lead.recycles = 0

    def _lose(self, lead: ModelLead, by: tuple[str, str], _: str) -> None:
        self._close(lead, by)
        self.move(lead, "lost", done=True)
        self._next_cycle(lead)

    def _reject(self, lead: ModelLead, by: tuple[str, str], reason: str) -> None:
        assert lead.handoff is not None
        lead.rejected_by.add(lead.handoff.person)
        self._recycle(lead, by, reason)

    def _recycle(self, lead: ModelLead, by: tuple[str, str], reason: str) -> None:
        self._close(lead, by)
        cool_down = REASONS[reason]
        if cool_down is None:
            self.move(lead, "disqualified")
            return
        if lead.state != "lost":
            self._next_cycle(lead)
        lead.recycles += 1
        self.move(lead, "recycled", cool_down)
        if lead.recycles >= MAX_CYCLES:
            self.move(lead, "disqualified")

    def _reassign(self, lead: ModelLead, by: tuple[str, str], _: str) -> None:
        if lead.handoff is None:
            lead.excluded = set()
        else:
            self._take_away(lead, by)

    def _hand_back(self, lead: ModelLead, by: tuple[str, str], _: str) -> None:
        self._take_away(lead, by)

    def _disqualify(self, lead: ModelLead, by: tuple[str, str], _: str) -> None:
        self._close(lead, by)
        self.move(lead, "disqualified")

    def _reopen(self, lead: ModelLead, _by: tuple[str, str], _: str) -> None:
        self.move(lead, "nurturing")
        self._next_cycle(lead)
        lead.recycles, lead.do_not_contact = 0, False

    # What scoring learns of persons

    def merge(self, loser_id: str, survivor_id: str, kept: str | None) -> None:
        """Join two leads; `kept`: what the survivor is seen to hold, which settles a tie."""
        survivor_id = self.survivor(survivor_id)
        if loser_id in self.redirects or loser_id == survivor_id:
            return
        self.redirects[loser_id] = survivor_id
        loser = self.leads.pop(loser_id, None)
        if loser is None:
            return
        own = self.leads.get(survivor_id) or ModelLead(survivor_id, since=self.now)
        self._join(own, loser, kept)

    def _join(self, own: ModelLead, other: ModelLead, kept: str | None) -> None:
        """The further state stays, under the id of `own`; both memories are united."""
        stays, goes = sorted((own, other), key=lambda lead: self._precedence(lead, kept))
        joint = replace(
            stays,
            id=own.id,
            cycle=max(own.cycle, other.cycle),
            recycles=max(own.recycles, other.recycles),
            reassigns=max(own.reassigns, other.reassigns),
            rejected_by=own.rejected_by | other.rejected_by,
            tried=own.tried | other.tried,
            do_not_contact=own.do_not_contact or other.do_not_contact,
            snapshot=own.snapshot or other.snapshot,
            revision=own.revision,
        )
        self.end_clock(goes, own.id)
        self._close(goes, None)
        if joint.do_not_contact and joint.state not in ("won", "disqualified"):
            self._close(joint, None)
            self.move(joint, "disqualified")
        self.leads[own.id] = joint

    def _precedence(self, lead: ModelLead, kept: str | None) -> tuple[int, float, bool]:
        silent = lead.state == "disqualified" and lead.do_not_contact
        rank = -1 if silent else STAYS.index(lead.state)
        if lead.state == "recycled" and lead.clock is not None:
            age = -lead.clock.target_at().timestamp()
        else:
            since = lead.handoff.assigned_at if lead.handoff else lead.since
            age = since.timestamp() if since else 0.0
        mine = lead.handoff.id if lead.handoff else lead.holder
        return rank, age, mine != kept

    def unmerge(self, lead_id: str, new_id: str, goes_to: str, kept: str | None) -> None:
        """Part a lead: state and hand-off go where scoring says; both remember cycle and rejections.

        A new lead that has begun a life of its own already is joined by what comes to it.
        """
        lead_id = self.survivor(lead_id)
        if new_id in self.split or new_id in self.redirects or lead_id not in self.leads:
            return
        self.split.add(new_id)
        lead, own = self.leads[lead_id], self.leads.get(new_id)
        goes = goes_to == new_id
        if own is not None and (not goes or own.handoff is not None):
            return
        bare = ModelLead(
            lead_id if goes else new_id, "disqualified" if lead.do_not_contact else "nurturing", self.now,
            lead.cycle, lead.recycles, lead.reassigns, rejected_by=set(lead.rejected_by),
            do_not_contact=lead.do_not_contact,
        )  # fmt: skip
        self.leads[bare.id] = bare
        if not goes:
            return
        bare.snapshot, bare.revision = lead.snapshot, lead.revision
        if own is None:
            self.leads[new_id] = replace(lead, id=new_id, revision=0)
        else:
            self._join(own, lead, kept)

    def may_get(self, lead: ModelLead, person: str) -> bool:
        """Tell whether nothing between this lead and this person speaks against it."""
        return person not in lead.rejected_by | lead.tried | (lead.excluded or set())
