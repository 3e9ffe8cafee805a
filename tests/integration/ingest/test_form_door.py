"""The form door on a real database: kept, mapped, announced, once."""

import asyncio
import re

from tests.support.ingest_world import IngestWorld

DEMO = {"email": "Ada.Lovelace@Example.com", "first_name": "Ada", "company": "Analytical Engines"}


async def test_a_json_submission_is_kept_and_announced(world: IngestWorld) -> None:
    answer = await world.client.post("/v1/forms/website", json={**DEMO, "anonymous_id": "anon-1"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "accepted"
    [event] = await world.outbox()
    assert (event.kind, event.name, event.source) == ("form", "website", "website")
    assert event.person.email == "ada.lovelace@example.com"
    assert event.anonymous_id == "anon-1"
    assert event.person.traits == {"first_name": "Ada", "company": "Analytical Engines"}
    [receipt] = await world.rows("SELECT * FROM ingest.receipt")
    assert receipt["state"] == "mapped"
    assert receipt["event_id"] == event.event_id
    assert b"Ada.Lovelace@Example.com" in receipt["raw"]
    assert await world.is_sound()


async def test_a_plain_html_form_is_sent_on_to_the_thank_you_page(world: IngestWorld) -> None:
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "sec-fetch-mode": "navigate",
        "origin": "http://leadline.test",
        "cookie": "other=1; ajs_anonymous_id=%22anon-9%22",
    }
    body = b"email=ada%40example.com&interests=a&interests=b&website_confirm="
    answer = await world.client.post("/v1/forms/website", content=body, headers=headers)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/site/website/thanks"
    [event] = await world.outbox()
    assert event.anonymous_id == "anon-9"
    assert event.properties["interests"] == ["a", "b"]
    assert "website_confirm" not in event.properties


async def test_twenty_presses_of_the_button_are_one_event(world: IngestWorld) -> None:
    answers = await asyncio.gather(
        *(world.client.post("/v1/forms/website", json={**DEMO, "submission_token": "t-1"}) for _ in range(20))
    )
    assert [answer.status_code for answer in answers] == [200] * 20
    states = sorted(answer.json()["state"] for answer in answers)
    assert states == ["accepted", *["duplicate"] * 19]
    assert len(await world.outbox()) == 1
    assert len(await world.rows("SELECT * FROM ingest.receipt")) == 20
    assert await world.is_sound()


async def test_the_same_content_within_the_window_is_one_event_and_later_another(world: IngestWorld) -> None:
    first = (await world.client.post("/v1/forms/website", json=DEMO)).json()
    second = (await world.client.post("/v1/forms/website", json=DEMO)).json()
    assert second["state"] == "duplicate"
    assert second["duplicate_of"] == first["submission_id"]
    await world.rows("UPDATE ingest.submission_key SET claimed_at = claimed_at - interval '11 minutes'")
    third = (await world.client.post("/v1/forms/website", json=DEMO)).json()
    assert third["state"] == "accepted"
    assert len({event.message_id for event in await world.outbox()}) == 2


async def test_without_a_window_every_press_is_a_submission(world: IngestWorld) -> None:
    active = await world.client.get("/v1/sources", headers=world.admin)
    text = re.sub(r"(?m)^  website:$", "  website:\n    double_submit_window: 0s", active.text)
    text = re.sub(r"(?m)^    double_submit_window: (?!0s).*\n", "", text)
    pushed = await world.client.put("/v1/sources", content=text, headers=world.admin)
    assert pushed.status_code == 200
    states = [(await world.client.post("/v1/forms/website", json=DEMO)).json()["state"] for _ in range(2)]
    assert states == ["accepted", "accepted"]


async def test_a_corrected_form_is_a_new_submission_although_its_token_is_the_same(
    world: IngestWorld,
) -> None:
    for email in ("ada@exmaple.com", "ada@example.com"):
        body = {**DEMO, "email": email, "submission_token": "t-1"}
        assert (await world.client.post("/v1/forms/website", json=body)).json()["state"] == "accepted"
    assert [event.person.email for event in await world.outbox()] == ["ada@exmaple.com", "ada@example.com"]


async def test_a_token_holds_beyond_the_window_of_equal_content(world: IngestWorld) -> None:
    body = {**DEMO, "submission_token": "t-1"}
    await world.client.post("/v1/forms/website", json=body)
    await world.rows("UPDATE ingest.submission_key SET claimed_at = claimed_at - interval '1 day'")
    assert (await world.client.post("/v1/forms/website", json=body)).json()["state"] == "duplicate"


async def test_a_retry_after_a_lost_answer_finds_its_idempotency_key(world: IngestWorld) -> None:
    for message in ("one", "two, written differently"):
        body = {**DEMO, "message": message}
        await world.client.post("/v1/forms/website", json=body, headers={"idempotency-key": "k-1"})
    assert len(await world.outbox()) == 1


async def test_nothing_is_acknowledged_when_the_commit_fails(world: IngestWorld) -> None:
    # A deferred constraint trigger fails at COMMIT, after every statement has succeeded.
    await world.rows("""
        CREATE FUNCTION ingest.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'refused at commit'; END $$""")
    await world.rows("""
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON ingest.receipt DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION ingest.refuse()""")
    answer = await world.client.post("/v1/forms/website", json=DEMO)
    assert answer.status_code >= 500
    assert await world.rows("SELECT * FROM ingest.receipt") == []
    assert await world.outbox() == []
    await world.rows("DROP TRIGGER refuse ON ingest.receipt")
    again = await world.client.post("/v1/forms/website", json=DEMO)
    assert again.json()["state"] == "accepted"
    assert len(await world.outbox()) == 1


async def test_a_locked_table_means_503_with_retry_after_and_a_page_for_people(world: IngestWorld) -> None:
    import asyncpg

    blocker = await asyncpg.connect(world.url)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE ingest.receipt IN ACCESS EXCLUSIVE MODE")
            started = asyncio.get_running_loop().time()
            machine, person = await asyncio.gather(
                world.client.post("/v1/forms/website", json=DEMO),
                world.client.post(
                    "/v1/forms/website",
                    content=b"email=a%40b.example",
                    headers={"sec-fetch-mode": "navigate"},
                ),
            )
            assert asyncio.get_running_loop().time() - started < 5
    finally:
        await blocker.close()
    assert machine.status_code == person.status_code == 503
    assert int(machine.headers["retry-after"]) > 0
    assert "text/html" in person.headers["content-type"]


async def test_secrets_are_struck_out_before_anything_is_kept(world: IngestWorld) -> None:
    body = {**DEMO, "google_key": "s3cret-key", "password": "hunter2!"}
    await world.client.post(
        "/v1/forms/website", json=body, headers={"authorization": "Bearer zzz", "cookie": "session=zzz"}
    )
    [receipt] = await world.rows(
        "SELECT raw::text || headers::text || arrival::text AS kept FROM ingest.receipt"
    )
    [raw] = await world.rows("SELECT raw FROM ingest.receipt")
    assert b"s3cret-key" not in raw["raw"]
    assert b"hunter2!" not in raw["raw"]
    assert "zzz" not in receipt["kept"]
    [event] = await world.outbox()
    assert "hunter2!" not in str(event)


async def test_cors_lets_any_page_post(world: IngestWorld) -> None:
    asked = {"origin": "https://www.example.com", "access-control-request-headers": "content-type,x-new"}
    answer = await world.client.options("/v1/forms/website", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-headers"] == "content-type,x-new"
    posted = await world.client.post("/v1/forms/website", json=DEMO, headers={"origin": asked["origin"]})
    assert posted.headers["access-control-allow-origin"] == asked["origin"]
    assert posted.headers["access-control-expose-headers"] == "Retry-After"


async def test_the_shipped_page_posts_to_its_own_door_under_a_strict_policy(world: IngestWorld) -> None:
    page = await world.client.get("/site/website/demo")
    assert page.status_code == 200
    assert 'action="/v1/forms/website"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert " style=" not in page.text
    thanks = await world.client.get("/site/website/thanks")
    assert thanks.status_code == 200
    assert (await world.client.get("/site/website/tracking.js")).status_code == 200
    assert (await world.client.get("/site/elsewhere")).status_code == 404
