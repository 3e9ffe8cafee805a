"""Four lives of leads, each told over HTTP alone. Every step is idempotent and may be repeated."""

import uuid
from collections.abc import Callable
from typing import Any

from tests.support.eventually import eventually_sync
from tests.support.running import RunningLeadline

PATIENCE_SECONDS = 90.0
Facts = dict[str, Any]


class Stories:
    """Tells the stories to one Leadline; `name` keeps the people of two runs apart."""

    def __init__(self, leadline: RunningLeadline, name: str) -> None:
        self._leadline = leadline
        self._name = name

    def visitor_who_is_accepted(self) -> Facts:
        """A visitor browses, fills in a form, is scored, handed over and accepted."""
        anonymous_id = f"{self._name}-visitor"
        for number, path in enumerate(("/pricing", "/product", "/customers")):
            self._page(anonymous_id, path, f"{self._name}-a-{number}")
        self.fill_in_a_form("accepted", country="DE", anonymous_id=anonymous_id)
        handoff = self._open_handoff("accepted")
        self._act(handoff["id"], "accept", by=handoff["person_id"])
        lead = self._lead("accepted", lambda lead: lead["state"] == "accepted")
        timeline = self._leadline.get(f"/v1/leads/{lead['lead_id']}/timeline")["data"]
        return {**ending(lead), "activities": sorted(item["kind"] for item in timeline)}

    def lead_that_breaches(self) -> Facts:
        """Nobody accepts in time: taken from one rep and given to the other, who does no better."""
        self.fill_in_a_form("breached", country="NZ")
        lead = self._lead("breached", lambda lead: len(breached_clocks(lead)) == 2)
        first, second = lead["handoffs"]
        assert first["person_id"] != second["person_id"]
        return {**ending(lead), "breaches": len(breached_clocks(lead))}

    def lead_that_comes_back(self) -> Facts:
        """Rejected with a reason, cooled down, back with new evidence as a new cycle, for the other rep."""
        self.fill_in_a_form("back", country="FR")
        first = self._open_handoff("back")
        self._act(first["id"], "reject", by=first["person_id"], reason="no_budget")
        self._lead("back", lambda lead: lead["state"] == "nurturing" and lead["cycle"] == 2)
        self.fill_in_a_form("back", country="FR", again=True)
        second = self._open_handoff("back")
        assert second["cycle"] == 2
        assert second["person_id"] != first["person_id"]
        return ending(self._lead("back", lambda lead: lead["state"] == "assigned"))

    def leads_that_merge(self) -> Facts:
        """Two leads turn out to be one person while one of them is with a rep, who keeps the lead."""
        self._identify("older", user_id=None)
        older = self._lead_id("older")
        self.fill_in_a_form("younger", country="ES")
        handoff = self._open_handoff("younger")
        younger = handoff["lead_id"]
        for who in ("younger", "older"):
            self._identify(who, user_id=f"{self._name}-user")
        merged = self._lead("older", lambda lead: lead["merged_ids"] and lead["state"] == "assigned")
        assert {older, younger} == {merged["lead_id"], *merged["merged_ids"]}
        assert merged["holder"] == handoff["person_id"]
        redirected = self._leadline.get(f"/v1/lifecycle/{younger}")
        assert redirected["lead_id"] == merged["lead_id"]
        return {**ending(merged), "merged": len(merged["merged_ids"])}

    def _email(self, who: str) -> str:
        return f"{who}-{self._name}@{self._name}.example"

    def _page(self, anonymous_id: str, path: str, message_id: str) -> None:
        body = {
            "anonymousId": anonymous_id,
            "messageId": message_id,
            "context": {"page": {"path": path, "url": f"https://www.example.com{path}"}},
        }
        answer = self._leadline.send("POST", "/v1/page", scope="ingest", json=body)
        assert answer.is_success, answer.text

    def _identify(self, who: str, *, user_id: str | None) -> None:
        email = self._email(who)
        body: Facts = {"traits": {"email": email}, "messageId": f"{email}-{user_id}"}
        body |= {"userId": user_id} if user_id else {"anonymousId": f"{email}-browser"}
        answer = self._leadline.send("POST", "/v1/identify", scope="ingest", json=body)
        assert answer.is_success, answer.text

    def fill_in_a_form(self, who: str, *, country: str, again: bool = False, **fields: str) -> str:
        """Post the form of somebody; return the address."""
        token = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._email(who)} {again}"))
        body = {
            "email": self._email(who),
            "company": "Example Ltd",
            "country": country,
            "message": "Please show me a demo" + (" again" if again else ""),
            "submission_token": token,
            **fields,
        }
        answer = self._leadline.send("POST", "/v1/forms/website", scope="ingest", json=body)
        assert answer.is_success, answer.text
        return self._email(who)

    def _act(self, handoff_id: str, act: str, **body: str) -> None:
        answer = self._leadline.send("POST", f"/v1/handoffs/{handoff_id}/{act}", scope="work", json=body)
        assert answer.is_success, answer.text

    def _lead_id(self, who: str) -> str:
        def found() -> str:
            leads = self._leadline.get("/v1/leads", email=self._email(who))["data"]
            return str(leads[0]["lead_id"]) if leads else ""

        return eventually_sync(found, timeout_seconds=PATIENCE_SECONDS, what=f"{who} is a lead")

    def _lead(self, who: str, wanted: Callable[[Facts], Any]) -> Facts:
        lead_id = self._lead_id(who)

        def found() -> Facts:
            lead: Facts = self._leadline.get(f"/v1/lifecycle/{lead_id}")
            assert wanted(lead), {name: lead[name] for name in ("state", "cycle", "merged_ids")}
            return lead

        return eventually_sync(found, timeout_seconds=PATIENCE_SECONDS, what=f"{who} comes so far")

    def _open_handoff(self, who: str) -> Facts:
        lead = self._lead(who, lambda lead: lead["state"] == "assigned")
        return next(handoff for handoff in lead["handoffs"] if handoff["open"])


def breached_clocks(lead: Facts) -> list[Facts]:
    """Return the accept clocks of a lead that were breached."""
    return [clock for clock in lead["clocks"] if clock["kind"] == "accept" and clock["breached_at"]]


def ending(lead: Facts) -> Facts:
    """Return how a life ended, without what chance decides: ids, instants, and which rep it was."""
    return {
        "state": lead["state"],
        "cycle": lead["cycle"],
        "handoffs": [
            (handoff["cycle"], handoff["seq"], handoff["outcome"], handoff["open"])
            for handoff in lead["handoffs"]
        ],
        "path": [(move["from_state"], move["to_state"]) for move in lead["transitions"]],
    }


ALL: tuple[Callable[[Stories], Facts], ...] = (
    Stories.visitor_who_is_accepted,
    Stories.lead_that_breaches,
    Stories.lead_that_comes_back,
    Stories.leads_that_merge,
)
