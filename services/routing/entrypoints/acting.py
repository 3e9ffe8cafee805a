"""Who acts, and what the domain's refusals are on the wire: one table from fault to problem."""

from services.routing.domain.lifecycle import Actor, HandoffClosed, IllegalMove, UnknownReason, UnknownStage
from services.routing.domain.sla import PauseRefused
from services.routing.usecases.act_on_handoff import NotFound
from services.routing.usecases.change_person import ChangedMeanwhile, StillHolds
from shared.web.auth import ApiKey
from shared.web.etag import etag
from shared.web.problem import Problem, invalid_field

REFUSALS = (
    HandoffClosed,
    IllegalMove,
    UnknownReason,
    UnknownStage,
    NotFound,
    StillHolds,
    ChangedMeanwhile,
    PauseRefused,
)


def actor_of(key: ApiKey, by: str | None) -> Actor:
    """Return who acts: the key's person, or the person a service's key names with `by`.

    Raises Problem 403 where a person's own key names somebody else, 422 where nobody is named.
    """
    if key.actor is not None:
        if by is not None and by != key.actor and not key.allows("admin"):
            raise Problem(403, "not_your_name", "This key is a person's own; `by` may only name that person.")
        return Actor("person", by or key.actor)
    if by is None:
        raise invalid_field(
            "/by", "This key is no person's own: name the person who acts.", code="by_required"
        )
    return Actor("key", key.id, by)


def problem_of_refusal(fault: Exception) -> Problem:
    """Return the problem that stands for a refusal of the domain or of a use case."""
    if isinstance(fault, HandoffClosed):
        successor = fault.successor_id
        follows = f" {successor} followed it." if successor else " No hand-off followed it yet."
        return Problem(
            409, "handoff_closed", f"The hand-off is closed ({fault.handoff.outcome}).{follows}",
            extra={"successor_id": successor, "outcome": fault.handoff.outcome},
        )  # fmt: skip
    if isinstance(fault, IllegalMove):
        return Problem(
            409, "illegal_move", str(fault),
            extra={"state": fault.state, "legal": list(fault.legal)},
        )  # fmt: skip
    if isinstance(fault, UnknownReason | UnknownStage):
        pointer = "/reason" if isinstance(fault, UnknownReason) else "/stage"
        problem = invalid_field(pointer, f"one of: {', '.join(fault.known)}")
        problem.extra["known"] = list(fault.known)
        return problem
    if isinstance(fault, StillHolds):
        return Problem(
            409, "holds_open_handoffs", "Reassign the open hand-offs first.", extra={"held": fault.held}
        )
    if isinstance(fault, ChangedMeanwhile):
        return Problem(
            412, "changed_meanwhile", "Somebody changed it after you read it; read it again.",
            headers={"etag": etag(fault.version)},
        )  # fmt: skip
    if isinstance(fault, PauseRefused):
        return Problem(409, "pause_refused", str(fault))
    return Problem(404, "not_found", "There is nothing of that id.")
