"""Bodies of the commands. `by` is the person who acts, needed where the key is not a person's own."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.web.instant import Instant


def _of_the_calendar(day: str) -> str:
    try:
        date.fromisoformat(day)
    except ValueError:
        raise PydanticCustomError("day_unknown", "a day of the calendar is needed, e.g. 2026-03-01") from None
    return day


Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
# No id of the policy is asked for: heads and CRM users act who are in nobody's rota.
By = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
    ),
]
Note = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
Reason = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Channel = Annotated[str, Field(max_length=50, pattern=r"^[^\x00]*$")]
Told = Annotated[
    Instant | None,
    Field(
        description="When it happened, where that is told later. What lies before the hand-off counts as its"
        " beginning, what lies in the future as now."
    ),
]
Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Day = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d{2}-\d{2}$", json_schema_extra={"format": "date"}),
    AfterValidator(_of_the_calendar),
]


class Body(BaseModel):
    """Our own shape: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class ActBody(Body):
    """An act without particulars."""

    by: Annotated[
        By | None,
        Field(
            description="Id of the person who acts. Required where the key is not a person's own (else 422"
            " `by_required`); with a person's own key it may be left out or null, or name that person."
        ),
    ] = None


class AcceptBody(ActBody):
    """The rep takes the lead; `occurred_at` where that is told later than it happened."""

    occurred_at: Told = None


class ReasonBody(ActBody):
    """An act for a configured reason."""

    reason: Id
    note: Note = ""


class NoteBody(ActBody):
    """An act with a note."""

    note: Note = ""


class ContactBody(ActBody):
    """First touch; `occurred_at` where it is told later than it happened."""

    occurred_at: Told = None
    channel: Channel = ""


class QualifyBody(ActBody):
    """The lead is an opportunity, or its stage, amount or expected close changes."""

    stage: Id = "unqualified"
    amount: Amount | None = None
    currency: Currency | None = None
    expected_close: Day | None = None


class WinBody(ActBody):
    """Closed won."""

    amount: Amount | None = None
    currency: Currency | None = None


class LoseBody(ActBody):
    """Closed lost; a configured reason decides what follows."""

    reason: Reason = ""
    note: Note = ""


class ReassignBody(NoteBody):
    """To one named person, or to whoever the rules choose."""

    to_person: Id | None = None


class DisqualifyBody(ActBody):
    """Out, by hand."""

    reason: Id
    do_not_contact: bool = False


class FeedbackBody(Body):
    """What the CRM says of a lead; `act` is one of the acts on hand-offs."""

    act: Id
    by: Annotated[By | None, Field(description="The person in the CRM who did it, where it is known.")] = None
    occurred_at: Told = None
    reason: Reason = ""
    note: Note = ""
    channel: Channel = ""
    stage: Id = "unqualified"
    amount: Amount | None = None
    currency: Currency | None = None
    expected_close: Day | None = None


class TimeOffBody(Body):
    """One absence [start, end)."""

    start: Instant
    end: Instant
    reason: Note = ""


class PersonPatch(Body):
    """What may be changed about a person; what is left out stays. `null` clears."""

    online: bool | None = None
    active: bool | None = None
    paused_until: Instant | None = None
    out_of_rotation_until: Instant | None = None
    weight: Annotated[int, Field(ge=1, le=1000)] | None = None
    time_off: Annotated[list[TimeOffBody], Field(max_length=200)] | None = None
