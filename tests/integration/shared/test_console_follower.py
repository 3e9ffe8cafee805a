"""The lines of `leadline up` on a database that is not the one of which a place was kept."""

from pathlib import Path

import httpx2

from leadline.follow import Follower, opened_bus
from leadline.runtime_file import write_private


async def test_a_place_of_another_database_does_not_silence_the_console(
    database_url: str, tmp_path: Path
) -> None:
    place = tmp_path / "console.json"
    write_private(place, {"cursor": None, "positions": {"0": 1_000_000}})
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(200, json={"data": [], "next": None})

    transport = httpx2.MockTransport(answer)
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://leadline.test") as http,
        opened_bus(database_url) as bus,
    ):
        assert await Follower(bus, place).lines(http) == []
    assert asked == ["/v1/events"]
