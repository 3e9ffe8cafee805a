"""Routing over HTTP with its roles running: commands, reads, people, policy, feed."""

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest

from services.routing.bootstrap import DEFAULT_POLICY
from tests.integration.routing.http_support import ALWAYS_OPEN, handed_over
from tests.support.eventually import eventually
from tests.support.routing_world import RoutingWorld


async def test_a_snapshot_on_the_bus_becomes_a_handoff_that_is_accepted_over_http(
    world: RoutingWorld,
) -> None:
    handoff = await handed_over(world, "ld_1")
    by = {"by": handoff["person_id"]}
    path = f"/v1/handoffs/{handoff['id']}"

    first = await world.call("POST", f"{path}/accept", by)
    again = await world.call("POST", f"{path}/accept", by)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    shown = await world.get(path)
    assert shown["call"]["person"]["email"] == "ld_1@example.test"
    assert [clock["kind"] for clock in shown["clocks"]] == ["accept", "first_touch"]

    decision = await world.get(f"/v1/decisions/{handoff['decision_id']}")
    assert {candidate["person_id"] for candidate in decision["candidates"]} == {"anna", "bilal"}
    clocks = await world.get("/v1/sla/clocks?open=true")
    assert [clock["kind"] for clock in clocks["data"]] == ["first_touch"]
    assert all(finding.ok for finding in await world.service.views.reconcile())


async def test_the_second_click_gets_the_answer_of_the_first_whatever_came_between(
    world: RoutingWorld,
) -> None:
    handoff = await handed_over(world, "ld_1")
    path, by = f"/v1/handoffs/{handoff['id']}", {"by": handoff["person_id"]}
    first = await world.call("POST", f"{path}/accept", by)
    assert (await world.call("POST", f"{path}/contact", by)).status_code == 200
    again = await world.call("POST", f"{path}/accept", by)
    assert (again.status_code, again.content) == (200, first.content)


async def test_refusals_are_problems_that_say_what_can_be_done(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path, by = f"/v1/handoffs/{handoff['id']}", {"by": handoff["person_id"]}

    illegal = await world.call("POST", f"{path}/win", by)
    assert illegal.status_code == 409
    assert "accept" in illegal.json()["legal"]
    unknown = await world.call("POST", f"{path}/reject", {**by, "reason": "nonsense"})
    assert unknown.status_code == 422
    assert unknown.json()["known"]
    nameless = await world.call("POST", f"{path}/accept", {})
    assert (nameless.status_code, nameless.json()["code"]) == (422, "by_required")
    assert (await world.call("POST", "/v1/handoffs/ho_none/accept", by)).status_code == 404
    assert (await world.call("GET", "/v1/lifecycle/ld_none")).status_code == 404

    back = await world.call("POST", f"{path}/hand-back", by)
    assert back.status_code == 200
    closed = await world.call("POST", f"{path}/accept", {"by": "petra"})
    assert (closed.status_code, closed.json()["code"]) == (409, "handoff_closed")
    assert closed.json()["successor_id"] == back.json()["successor_id"] is not None


async def test_crm_feedback_is_never_refused_and_the_illegal_is_parked_in_sight(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path = "/v1/lifecycle/ld_1/feedback"
    early = await world.call("POST", path, {"act": "win"})
    assert early.status_code == 202
    for status in (True, False):
        done = await world.call("POST", path, {"act": "contact", "by": handoff["person_id"]})
        assert (done.status_code, done.json()["changed"]) == (200, status)
    lead = await world.get("/v1/lifecycle/ld_1")
    assert lead["state"] == "working"
    assert [parked["act"] for parked in lead["parked"]] == ["win"]
    assert (await world.call("POST", path, {"act": "dance"})).status_code == 422


async def test_a_clock_is_paused_for_a_configured_reason_only(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path, by = f"/v1/handoffs/{handoff['id']}", {"by": handoff["person_id"]}
    await world.call("POST", f"{path}/accept", by)
    before = (await world.get("/v1/sla/clocks?open=true"))["data"][0]

    refused = await world.call("POST", f"{path}/pause", {**by, "reason": "no_mood"})
    assert (refused.status_code, refused.json()["code"]) == (409, "pause_refused")
    paused = await world.call("POST", f"{path}/pause", {**by, "reason": "asked_to_call_later"})
    assert (paused.status_code, paused.json()["paused"]) == (200, "asked_to_call_later")
    assert paused.json()["due_at"] > before["due_at"]
    resumed = await world.call("POST", f"{path}/resume", by)
    assert (resumed.status_code, resumed.json()["paused"]) == (200, None)
    assert before["due_at"] < resumed.json()["due_at"] < paused.json()["due_at"]


async def test_an_act_whose_commit_fails_is_a_5xx_and_nothing_of_it_is_there(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path, by = f"/v1/handoffs/{handoff['id']}", {"by": handoff["person_id"]}
    # A deferred constraint trigger fails at COMMIT, after every statement has succeeded.
    await world.run_sql("""
        CREATE FUNCTION routing.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'refused at commit'; END $$""")
    await world.run_sql("""
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON routing.act DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION routing.refuse()""")
    answer = await world.call("POST", f"{path}/accept", by)
    told = await world.run_sql("SELECT type FROM routing.outbox WHERE type LIKE '%accepted%'")
    shown = await world.get(path)
    assert (answer.status_code, told, shown["state"]) == (500, [], "assigned")

    await world.run_sql("DROP TRIGGER refuse ON routing.act")
    assert (await world.call("POST", f"{path}/accept", by)).status_code == 200
    told = await world.run_sql("SELECT type FROM routing.outbox WHERE type LIKE '%accepted%'")
    assert len(told) == 1


async def test_an_idempotency_key_gives_the_same_answer_and_acts_once(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path, body = f"/v1/handoffs/{handoff['id']}/hand-back", {"by": handoff["person_id"]}
    answers = [await world.call("POST", path, body, **{"idempotency-key": "k1"}) for _ in range(2)]
    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content
    assert len((await world.get("/v1/handoffs?lead=ld_1"))["data"]) == 2


async def test_a_persons_own_key_speaks_for_that_person_alone(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path = f"/v1/handoffs/{handoff['id']}/accept"
    assert (await world.call("POST", path, {"by": "bilal"}, key=world.rep_key)).status_code == 403
    assert (await world.call("POST", path, key=world.rep_key)).status_code == 200
    assert (
        await world.call("PATCH", "/v1/people/bilal", {"online": False}, key=world.rep_key)
    ).status_code == 403


async def test_an_instant_is_spelled_one_way_in_all_answers(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path, by = f"/v1/handoffs/{handoff['id']}", {"by": handoff["person_id"]}
    accepted = await world.call("POST", f"{path}/accept", by)
    assert accepted.json()["accepted_at"] == (await world.get(path))["accepted_at"]

    async def told() -> bool:
        return bool((await world.get("/v1/events?types=leadline.handoff.accepted.v1"))["data"])

    await eventually(told, what="the feed tells of it")
    for answer in (accepted, await world.call("GET", "/v1/events")):
        assert "+00:00" not in answer.text


async def test_an_instant_that_was_told_in_another_offset_is_spelled_that_way_too(
    world: RoutingWorld,
) -> None:
    handoff = await handed_over(world, "ld_1")
    path, by = f"/v1/handoffs/{handoff['id']}", {"by": handoff["person_id"]}
    assert (await world.call("POST", f"{path}/hand-back", by)).status_code == 200
    told = datetime.fromisoformat(handoff["assigned_at"]).astimezone(timezone(timedelta(hours=2)))
    late = await world.call("POST", f"{path}/contact", {**by, "occurred_at": told.isoformat()})
    assert late.json()["late_evidence"]["occurred_at"] == handoff["assigned_at"]


async def test_an_act_of_before_its_handoff_counts_from_the_handoff_on(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    said = {"by": handoff["person_id"], "occurred_at": "0001-01-01T00:00:00Z"}
    accepted = await world.call("POST", f"/v1/handoffs/{handoff['id']}/accept", said)
    assert accepted.json()["accepted_at"] == handoff["assigned_at"]


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00+14:00", "2026-03-01T12:00:00"])
async def test_what_is_no_instant_in_utc_is_named(world: RoutingWorld, told: str) -> None:
    said = {"act": "contact", "occurred_at": told}
    for refused, name in (
        (await world.call("POST", "/v1/lifecycle/ld_1/feedback", said), "occurred_at"),
        (await world.call("PATCH", "/v1/people/anna", {"paused_until": told}), "paused_until"),
        (await world.call("GET", f"/v1/sla/clocks?due_before={quote(told)}"), "due_before"),
    ):
        assert refused.status_code == 422, refused.text
        assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("day", ["2026-02-30", "2026-13-01", "0000-01-01", "soon"])
async def test_a_deal_is_expected_to_close_on_a_day_of_the_calendar(world: RoutingWorld, day: str) -> None:
    for path, said in (
        ("/v1/handoffs/ho_1/qualify", {"by": "anna", "expected_close": day}),
        ("/v1/lifecycle/ld_1/feedback", {"act": "qualify", "expected_close": day}),
    ):
        refused = await world.call("POST", path, said)
        assert refused.status_code == 422, refused.text
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/expected_close"]


@pytest.mark.parametrize(
    "path", ["handoffs?statsu=open", "sla/clocks?breeched=true", "events?from=x", "people?open=1"]
)
async def test_a_slip_in_a_filter_does_not_show_everything(world: RoutingWorld, path: str) -> None:
    refused = await world.call("GET", f"/v1/{path}")
    name = path.partition("?")[2].partition("=")[0]
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_parameter")
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("by", ["", "  ", "x" * 201, "anna\n(forged)", "anna\u2028(forged)", "an\x00na", 7])
async def test_who_acts_is_a_name_of_one_line(world: RoutingWorld, by: object) -> None:
    for path in ("/v1/handoffs/ho_1/accept", "/v1/handoffs/ho_1/resume", "/v1/lifecycle/ld_1/reopen"):
        refused = await world.call("POST", path, {"by": by})
        # A NUL is refused in any body, before anybody looks what it says.
        assert refused.status_code == (400 if by == "an\x00na" else 422), refused.text
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/by"]


async def test_the_same_person_with_a_space_behind_is_the_same_actor(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path = f"/v1/handoffs/{handoff['id']}/accept"
    first, again = [
        await world.call("POST", path, {"by": by})
        for by in (handoff["person_id"], f" {handoff['person_id']} ")
    ]
    assert (first.status_code, again.content) == (200, first.content)


async def test_the_document_says_when_the_person_who_acts_must_be_named(world: RoutingWorld) -> None:
    schemas = (await world.get("/openapi.json"))["components"]["schemas"]
    by = schemas["AcceptBody"]["properties"]["by"]
    assert "Required where the key is not a person's own" in by["description"]
    assert [shape["type"] for shape in by["anyOf"]] == ["string", "null"]
    assert by["anyOf"][0]["maxLength"] == 200


async def test_people_are_changed_under_an_etag_and_never_dropped_with_open_handoffs(
    world: RoutingWorld,
) -> None:
    handoff = await handed_over(world, "ld_1")
    path = f"/v1/people/{handoff['person_id']}"
    read = await world.call("GET", path)
    assert read.json()["open_load"] == 1
    changed = await world.call("PATCH", path, {"weight": 3}, **{"if-match": read.headers["etag"]})
    assert (changed.status_code, changed.json()["weight"]) == (200, 3)
    stale = await world.call("PATCH", path, {"weight": 2}, **{"if-match": read.headers["etag"]})
    assert stale.status_code == 412
    refused = await world.call("PATCH", path, {"active": False})
    assert refused.status_code == 409
    assert refused.json()["held"] == {handoff["person_id"]: [handoff["id"]]}

    dropping = ALWAYS_OPEN.replace(
        next(
            line for line in ALWAYS_OPEN.splitlines() if line.strip().startswith(handoff["person_id"] + ":")
        ),
        "",
    )
    default = DEFAULT_POLICY.read_text(encoding="utf-8")
    push = await world.client.put(
        "/v1/policies",
        content=dropping + default[default.index("\nsla:") :],
        headers={"authorization": f"Bearer {world.admin_key}"},
    )
    assert (push.status_code, push.json()["held"]) == (409, {handoff["person_id"]: [handoff["id"]]})


async def test_a_faulty_policy_is_refused_with_line_and_fix(world: RoutingWorld) -> None:
    push = await world.client.put(
        "/v1/policies", content="rules: 3\n", headers={"authorization": f"Bearer {world.admin_key}"}
    )
    assert push.status_code == 422
    assert all({"line", "fix", "pointer"} <= error.keys() for error in push.json()["errors"])
    assert (await world.get("/v1/policies"))["version"] == "p2"


async def test_the_same_policy_again_makes_no_new_version(world: RoutingWorld) -> None:
    active = await world.get("/v1/policies")
    push = await world.client.put(
        "/v1/policies", content=active["body"], headers={"authorization": f"Bearer {world.admin_key}"}
    )
    assert push.json() == {"version": active["version"], "number": active["number"]}
    assert (await world.get("/v1/policies"))["pushed_at"] == active["pushed_at"]


async def test_the_feed_is_dense_and_its_cursors_never_skip(world: RoutingWorld) -> None:
    await handed_over(world, "ld_1")

    async def told() -> bool:
        return bool((await world.get("/v1/events?types=leadline.handoff.assigned.v1"))["data"])

    await eventually(told)
    page = await world.get("/v1/events?limit=1")
    sequence = [page["data"][0]["sequence"]]
    while page["data"]:
        page = await world.get(f"/v1/events?limit=1&after={page['next']}")
        sequence += [event["sequence"] for event in page["data"]]
    assert sequence == list(range(1, len(sequence) + 1))

    start = await world.get("/v1/events?limit=1")
    await world.run_sql("DELETE FROM routing.outbox WHERE feed_seq <= 2")
    gone = await world.call("GET", f"/v1/events?after={start['next']}")
    assert gone.status_code == 410
    resumed = await world.get(f"/v1/events?after={gone.json()['oldest']}")
    assert resumed["data"][0]["sequence"] == 3

    await world.run_sql("SELECT platform.raise_epoch()")
    older = await world.call("GET", f"/v1/events?after={page['next']}")
    assert older.status_code == 409
    assert (await world.call("GET", f"/v1/events?after={older.json()['resume_after']}")).status_code == 200
    assert (await world.call("GET", "/v1/events?after=nonsense")).status_code == 400


async def test_status_and_known_leads_tell_what_routing_holds(world: RoutingWorld) -> None:
    await handed_over(world, "ld_1")
    status = await world.service.views.status()
    assert status["leads"] == {"assigned": 1}
    assert status["open_handoffs"] == status["open_clocks"] == 1
    page = await world.service.views.lead("ld_1")
    assert page is not None
    assert page["state"] == "assigned"
    assert [queue["id"] for queue in (await world.get("/v1/queues"))["data"]] == ["triage"]


async def test_the_running_timer_records_a_breach_in_time_and_never_early(world: RoutingWorld) -> None:
    default = DEFAULT_POLICY.read_text(encoding="utf-8")
    hasty = """
sla:
  - id: hasty
    clocks:
      assign: {target: 10m, calendar: always}
      accept: {target: 1s, calendar: always}
      first_touch: {target: 10m, calendar: always}
      qualify: {target: 10m, calendar: always}
      stage_age: {target: 10m, calendar: always}
"""
    push = await world.client.put(
        "/v1/policies",
        content=ALWAYS_OPEN + hasty + default[default.index("\nrecycle:") :],
        headers={"authorization": f"Bearer {world.admin_key}"},
    )
    assert push.status_code == 200, push.text
    await handed_over(world, "ld_1")

    async def breached() -> list[Any]:
        return list((await world.get("/v1/sla/clocks?breached=true"))["data"])

    (clock,) = await eventually(breached)
    late = datetime.fromisoformat(clock["breached_at"]) - datetime.fromisoformat(clock["due_at"])
    assert timedelta(0) <= late < timedelta(seconds=2)


async def test_late_evidence_is_answered_with_the_successor_and_not_refused(world: RoutingWorld) -> None:
    handoff = await handed_over(world, "ld_1")
    path, by = f"/v1/handoffs/{handoff['id']}", {"by": handoff["person_id"]}
    successor = (await world.call("POST", f"{path}/hand-back", by)).json()["successor_id"]
    late = {**by, "occurred_at": handoff["assigned_at"]}

    said = await world.call("POST", f"{path}/contact", late)
    assert said.status_code == 200, said.text
    assert (said.json()["successor_id"], said.json()["open"]) == (successor, False)
    assert said.json()["late_evidence"]["recorded"] is True
    assert (await world.call("POST", f"{path}/contact", late)).json() == said.json()
    assert (await world.call("POST", f"{path}/contact", by)).status_code == 409

    fed = await world.call("POST", "/v1/lifecycle/ld_1/feedback", {**late, "act": "contact"})
    assert (fed.status_code, fed.json()["successor_id"], fed.json()["parked_id"]) == (200, successor, None)
    assert (await world.get(f"/v1/handoffs/{successor}"))["state"] == "assigned"
