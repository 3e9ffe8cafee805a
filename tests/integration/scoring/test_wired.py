"""Scoring wired as it runs: messages in by the bus, snapshots out by the relay, pages by HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest_asyncio
from pydantic import SecretStr

from services.scoring.bootstrap import wire
from services.scoring.settings import ScoringSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Outgoing
from shared.contracts.activity import RECORDED, ActivityRecorded, partition_key
from shared.contracts.envelope import Attributes, to_headers
from shared.contracts.leads import SCORED, LeadScored
from shared.contracts.topics import ACTIVITY, LEADS
from shared.runtime import WiredService
from shared.web.keys import create_key
from tests.support.eventually import eventually
from tests.support.scoring_world import activity


def message(item: ActivityRecorded) -> Outgoing:
    """Return an activity as ingest puts it on its topic."""
    key = partition_key(item)
    attributes = Attributes(item.event_id, "leadline/ingest", RECORDED, item.occurred_at, key)
    return Outgoing(ACTIVITY.name, key, to_headers(attributes), msgspec.json.encode(item))


def recent(number: int, minute: float, **given: Any) -> ActivityRecorded:
    """Return an activity `minute` minutes after an hour ago: these tests run on the real clock."""
    at = datetime.now(UTC) - timedelta(minutes=60 - minute)
    return activity(number, occurred_at=at, received_at=at, **given)


class Scoring:
    """The wired service with its roles running and an administrator's HTTP client."""

    def __init__(self, service: WiredService, bus: MemoryBus, http: httpx2.AsyncClient) -> None:
        self.service = service
        self.bus = bus
        self.http = http

    async def get(self, path: str, **params: Any) -> Any:
        response = await self.http.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def rescored(self) -> bool:
        return bool((await self.service.views.status())["leads_to_rescore"] == 0)

    def snapshots(self) -> list[LeadScored]:
        records = [r for r in self.bus.records(LEADS.name) if dict(r.headers)["ce_type"] == SCORED.encode()]
        return [msgspec.json.decode(record.value, type=LeadScored) for record in records]


@pytest_asyncio.fixture
async def scoring(database_url: str, tmp_path: Path) -> AsyncIterator[Scoring]:
    owner = await asyncpg.connect(database_url)
    key = await create_key(owner, name="admin", scopes=["admin"], actor="ada")
    await owner.close()
    settings = ScoringSettings(
        database_url=SecretStr(database_url), data_dir=tmp_path, decay_poll_seconds=0.05
    )
    bus = MemoryBus()
    async with wire(settings, bus=bus) as service:
        stop = asyncio.Event()
        running = [asyncio.create_task(role.run(stop)) for role in service.roles.values()]
        transport = httpx2.ASGITransport(app=service.api)
        headers = {"authorization": f"Bearer {key.token}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://scoring", headers=headers
        ) as http:
            yield Scoring(service, bus, http)
        stop.set()
        await asyncio.gather(*running)


async def test_a_form_travels_from_the_bus_to_a_snapshot_and_to_the_pages(scoring: Scoring) -> None:
    visits = [recent(n, n, anonymous_id="a1", path="/pricing") for n in (1, 2, 3)]
    form = recent(
        4, 4, kind="form", name="demo", anonymous_id="a1", email="ada@acme.example",
        traits={"title": "VP Sales", "country": "DE"},
    )  # fmt: skip
    await scoring.bus.append([message(item) for item in (*visits, form)])
    await eventually(lambda: scoring.snapshots(), what="a snapshot on the topic")
    snapshot = scoring.snapshots()[-1]
    assert sum(line.points for line in snapshot.lines) == snapshot.fit + snapshot.engagement

    (listed,) = (await scoring.get("/v1/leads", email="Ada@acme.example"))["data"]
    assert listed["lead_id"] == snapshot.lead_id
    assert (await scoring.get("/v1/leads", q="acme.example"))["data"] == [listed]
    assert (await scoring.get("/v1/leads", email="nobody@acme.example"))["data"] == []
    assert (await scoring.get("/v1/leads", q=listed["lead_id"][:11]))["data"] == [listed]
    assert (await scoring.get("/v1/leads", q="ld_" + 8 * "0"))["data"] == []
    lead = await scoring.get(f"/v1/leads/{snapshot.lead_id}")
    assert lead["identities"] == {"anonymous": ["a1"], "email": ["ada@acme.example"]}
    first = await scoring.get(f"/v1/leads/{snapshot.lead_id}/timeline", limit=3)
    rest = await scoring.get(f"/v1/leads/{snapshot.lead_id}/timeline", limit=3, cursor=first["next"])
    seen = [row["event_id"] for row in first["data"] + rest["data"]]
    assert seen == [item.event_id for item in (form, *reversed(visits))]
    score = await scoring.get(f"/v1/leads/{snapshot.lead_id}/score", as_of=snapshot.as_of.isoformat())
    assert (score["fit"], score["engagement"]) == (snapshot.fit, snapshot.engagement)
    assert [line["rule"] for line in score["lines"]] == [line.rule for line in snapshot.lines]
    early = await scoring.get(f"/v1/leads/{snapshot.lead_id}/score", as_of=visits[0].occurred_at.isoformat())
    assert 0 < early["engagement"] < score["engagement"]
    assert all(finding.ok for finding in await scoring.service.views.reconcile())
    assert 'leadline_scoring_activities_total{outcome="read"}' in (await scoring.http.get("/metrics")).text


async def test_problems_name_what_is_wrong(scoring: Scoring) -> None:
    assert (await scoring.http.get("/v1/leads/ld_nobody")).json()["code"] == "unknown_lead"
    assert (await scoring.http.get("/v1/leads", params={"grade": "Z9"})).status_code == 422
    assert (await scoring.http.get("/v1/leads", params={"cursor": "x"})).json()["code"] == "invalid_cursor"
    refused = await scoring.http.put("/v1/models", content=b"name: x\nsignals: 7\n")
    assert refused.status_code == 422
    assert all(error["line"] >= 1 and error["fix"] for error in refused.json()["errors"])
    unmerge = {"lead_id": "ld_nobody", "identities": [{"kind": "email", "value": "a@b.example"}]}
    assert (await scoring.http.post("/v1/merges/unmerge", json=unmerge)).status_code == 404
    assert (await scoring.http.get("/v1/leads", headers={"authorization": "Bearer no"})).status_code == 401


async def test_a_new_model_scores_all_leads_anew_and_the_old_version_stays(scoring: Scoring) -> None:
    await scoring.bus.append(
        [message(recent(1, 1, kind="form", name="demo", email="ada@acme.example", traits={"country": "DE"}))]
    )
    await eventually(lambda: scoring.snapshots(), what="a snapshot on the topic")
    before = await scoring.get("/v1/models")
    text = before["text"].replace("name: ", "name: second-", 1)
    assert text != before["text"]
    answer = await scoring.http.put("/v1/models", content=text.encode())
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == before["version"] + 1
    await eventually(scoring.rescored, what="no lead behind the model")
    lead_id = scoring.snapshots()[-1].lead_id
    score = await scoring.get(f"/v1/leads/{lead_id}/score")
    assert score["model_version"] == answer.json()["model_version"]
    assert (await scoring.get(f"/v1/models/{before['version']}"))["text"] == before["text"]


async def test_a_merge_by_hand_redirects_and_an_unmerge_mints_a_new_lead(scoring: Scoring) -> None:
    forms = [
        recent(n, n, kind="form", name="demo", email=f"{name}@acme.example")
        for n, name in enumerate(("ada", "bob"), start=1)
    ]
    await scoring.bus.append([message(item) for item in forms])
    await eventually(lambda: len({s.lead_id for s in scoring.snapshots()}) == 2, what="two leads")
    ids = {s.person.email: s.lead_id for s in scoring.snapshots()}
    body = {"lead_id": ids["ada@acme.example"], "other_lead_id": ids["bob@acme.example"]}
    merged = await scoring.http.post("/v1/merges", json=body, headers={"idempotency-key": "m1"})
    assert merged.status_code == 200, merged.text
    survivor = merged.json()["lead_id"]
    (loser,) = set(ids.values()) - {survivor}
    page = await scoring.get(f"/v1/leads/{loser}")
    assert (page["lead_id"], page["merged_into"], page["merged_ids"]) == (survivor, survivor, [loser])
    assert (await scoring.http.post("/v1/merges", json=body)).json()["code"] == "not_mergeable"
    part = {"lead_id": survivor, "identities": [{"kind": "email", "value": "bob@acme.example"}]}
    split = await scoring.http.post("/v1/merges/unmerge", json=part)
    assert split.status_code == 200, split.text
    assert split.json()["lead_id"] == survivor
    assert split.json()["new_lead_id"] not in ids.values()
    again = await scoring.get(f"/v1/leads/{loser}")
    assert again["lead_id"] == survivor
    assert all(finding.ok for finding in await scoring.service.views.reconcile())
