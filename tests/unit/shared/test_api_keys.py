"""API keys: how they are sent, what their scopes allow, and what happens while the database is away."""

import asyncio
import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.web import key_cache
from shared.web.auth import ApiKey, KeyScope, check_scope, token_of
from shared.web.key_cache import KeyCache
from shared.web.keys import key_id, new_token
from shared.web.problem import Problem
from tests.support.eventually import eventually
from tests.support.fake_clock import FakeClock

TOKEN = "ll_abc_secret"
KEY = ApiKey("key_abc", frozenset({"work"}), actor="rep_1")


class FakeKeys:
    """Keys in memory; `away` makes look-ups fail as a lost database does."""

    def __init__(self, **keys: ApiKey) -> None:
        self.keys = {hashlib.sha256(token.encode()).digest(): key for token, key in keys.items()}
        self.away = False
        self.asked = 0
        self.touched: list[str] = []

    async def find(self, digest: bytes) -> ApiKey | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionRefusedError
        return self.keys.get(digest)

    async def touch(self, key_id: str) -> None:
        self.touched.append(key_id)


def basic(user: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer ll_abc", "ll_abc"),
        ("bearer   ll_abc ", "ll_abc"),
        (basic("wk_site"), "wk_site"),
        (basic("wk_site", "ignored"), "wk_site"),
        (basic("", "wk_site"), "wk_site"),
    ],
)
def test_a_token_is_read_from_its_header(header: str, token: str) -> None:
    assert token_of(header, basic=True) == token


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Token x", "Basic !!!", basic(""), "ll_abc"])
def test_a_header_without_a_token_is_a_401(header: str) -> None:
    with pytest.raises(Problem, match="401"):
        token_of(header, basic=True)


def test_basic_is_for_the_tracking_doors_only() -> None:
    with pytest.raises(Problem, match="401"):
        token_of(basic("ll_abc"))


@pytest.mark.parametrize(
    ("held", "allowed"),
    [
        ("ingest", {"ingest"}),
        ("read", {"read"}),
        ("work", {"work", "read"}),
        ("admin", {"ingest", "read", "work", "admin"}),
    ],
)
def test_admin_implies_all_and_work_implies_read(held: KeyScope, allowed: set[KeyScope]) -> None:
    key = ApiKey("key_1", frozenset({held}))
    scopes: tuple[KeyScope, ...] = ("ingest", "read", "work", "admin")
    assert {scope for scope in scopes if key.allows(scope)} == allowed


def test_a_lacking_scope_is_a_403_that_names_it() -> None:
    with pytest.raises(Problem, match="403 wrong_scope") as caught:
        check_scope(KEY, "admin")
    assert caught.value.extra == {"scope": "admin"}


def test_tokens_are_long_random_and_have_a_showable_id() -> None:
    assert new_token() != new_token()
    assert len(new_token()) > 50
    assert key_id("ll_0123456789ab_secret") == "key_0123456789ab"
    public = new_token(public=True)
    assert public.startswith("wk_")
    assert public.removeprefix("wk_") not in key_id(public)


async def test_a_known_key_is_looked_up_once_within_the_cache_time() -> None:
    source = FakeKeys(**{TOKEN: KEY})
    cache = KeyCache(source)
    found = await asyncio.gather(*(cache.find(TOKEN) for _ in range(20)))
    assert set(found) == {KEY}
    assert await cache.find(TOKEN) == KEY
    assert source.asked == 1
    await asyncio.sleep(0)
    assert source.touched == ["key_abc"]
    await cache.close()


@pytest.mark.parametrize(
    "token", ["", "unknown", "ll_nope", "wk_nope", "ll_" + "x" * 300, "ll_\udcff"], ids=repr
)
async def test_an_unknown_key_is_a_401(token: str) -> None:
    with pytest.raises(Problem, match="401"):
        await KeyCache(FakeKeys(**{TOKEN: KEY})).find(token)


async def test_wrong_keys_do_not_drive_out_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "MAX_ENTRIES", 5)
    source = FakeKeys(**{TOKEN: KEY})
    cache = KeyCache(source)
    await cache.find(TOKEN)
    for number in range(20):
        with pytest.raises(Problem, match="401"):
            await cache.find(f"ll_wrong_{number}")
        await cache.find(TOKEN)
    assert source.asked == 21


async def test_an_expired_key_is_a_401_even_from_the_cache() -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    expiring = replace(KEY, expires_at=clock.now() + timedelta(hours=1))
    cache = KeyCache(FakeKeys(**{TOKEN: expiring}), clock=clock)
    assert await cache.find(TOKEN) == expiring
    clock.advance(hours=1)
    with pytest.raises(Problem, match="401"):
        await cache.find(TOKEN)
    await cache.close()


async def test_a_revoked_key_ends_with_the_cache_time() -> None:
    source = FakeKeys(**{TOKEN: KEY})
    cache = KeyCache(source, ttl_seconds=0)
    await cache.find(TOKEN)
    source.keys.clear()
    with pytest.raises(Problem, match="401"):
        await cache.find(TOKEN)
    await cache.close()


async def test_while_the_database_is_away_known_keys_work_and_others_are_a_503() -> None:
    source = FakeKeys(**{TOKEN: KEY})
    cache = KeyCache(source, ttl_seconds=0)
    await cache.find(TOKEN)
    source.away = True
    assert await cache.find(TOKEN) == KEY
    with pytest.raises(Problem, match="503 keys_unavailable") as caught:
        await cache.find("ll_other_key")
    assert int(caught.value.headers["retry-after"]) <= 5
    await cache.close()


async def test_once_the_database_is_away_nobody_waits_for_a_known_key() -> None:
    class Slow(FakeKeys):
        hangs: asyncio.Event | None = None

        async def find(self, digest: bytes) -> ApiKey | None:
            if self.hangs is not None:
                await self.hangs.wait()
            return await super().find(digest)

    source = Slow(**{TOKEN: KEY})
    cache = KeyCache(source, ttl_seconds=0)
    await cache.find(TOKEN)
    source.away = True
    await cache.find(TOKEN)
    cache._away_until = 0.0
    source.away, source.hangs = False, asyncio.Event()
    changed = replace(KEY, actor="rep_2")
    source.keys = dict.fromkeys(source.keys, changed)
    assert await asyncio.wait_for(cache.find(TOKEN), timeout=5) == KEY
    source.hangs.set()
    await eventually(lambda: source.asked == 3, what="a look-up behind the callers' backs")
    assert await cache.find(TOKEN) == changed
    await cache.close()


async def test_a_database_that_hangs_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(FakeKeys):
        async def find(self, digest: bytes) -> ApiKey | None:
            await asyncio.Event().wait()
            return None

    monkeypatch.setattr("shared.web.key_cache.LOOKUP_SECONDS", 0.02)
    cache = KeyCache(Hanging())
    with pytest.raises(Problem, match="503"):
        await asyncio.wait_for(cache.find(TOKEN), timeout=5)
    await cache.close()


async def test_known_keys_outlive_a_restart_while_the_database_is_away(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    source = FakeKeys(**{TOKEN: KEY})
    before = KeyCache(source, file=file)
    await before.find(TOKEN)
    await before.close()
    assert TOKEN not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0

    source.away = True
    after = KeyCache(source, file=file)
    assert await after.find(TOKEN) == KEY
    await after.close()


async def test_a_key_found_revoked_leaves_the_last_good_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    source = FakeKeys(**{TOKEN: KEY})
    cache = KeyCache(source, file=file, ttl_seconds=0)
    await cache.find(TOKEN)
    source.keys.clear()
    with pytest.raises(Problem, match="401"):
        await cache.find(TOKEN)
    source.away = True
    with pytest.raises(Problem, match="503"):
        await KeyCache(source, file=file).find(TOKEN)
    await cache.close()


async def test_a_damaged_last_good_file_is_left_aside(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{half")
    cache = KeyCache(FakeKeys(**{TOKEN: KEY}), file=file)
    assert await cache.find(TOKEN) == KEY
    await cache.close()
