"""The address itself answers with where to go."""

import httpx2
from fastapi import FastAPI

from leadline.front_page import LINKS, router


async def test_the_address_itself_says_where_to_go() -> None:
    app = FastAPI()
    app.include_router(router())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://leadline") as client:
        told = await client.get("/")
        shown = await client.get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert told.json()["links"] == LINKS
    assert all(f'href="{path}"' in shown.text for path in LINKS)
