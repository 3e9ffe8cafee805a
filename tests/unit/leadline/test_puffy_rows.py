"""The recorded shop events become the messages its site would have sent."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leadline.replay.puffy import NoEvents, messages, read_rows, shift_to

HEADER = "client_id,page_url,referrer,timestamp,event_name,event_data,user_agent\n"
VIEW = "v1,https://shop.example/p/1,,2025-02-23T00:00:01.750Z,page_viewed,,Agent\n"


def write(folder: Path, day: str, body: str) -> None:
    with gzip.open(folder / f"events_{day}.csv.gz", "wt", encoding="utf-8") as file:
        file.write(body)


def test_a_row_without_an_id_gets_one_from_file_and_row(tmp_path: Path) -> None:
    write(tmp_path, "20250223", HEADER + VIEW + VIEW.replace("v1", "v2"))
    ids = [message["messageId"] for message in messages(read_rows(tmp_path), timedelta())]
    assert ids == ["events_20250223:1", "events_20250223:2"]


def test_an_exact_repeat_is_the_same_event(tmp_path: Path) -> None:
    write(tmp_path, "20250223", HEADER + VIEW + VIEW)
    first, second = messages(read_rows(tmp_path), timedelta())
    assert first == second


def test_both_spellings_of_the_visitor_column_are_read(tmp_path: Path) -> None:
    write(tmp_path, "20250223", HEADER + VIEW)
    write(tmp_path, "20250227", HEADER.replace("client_id", "clientId") + VIEW)
    assert [m.get("anonymousId") for m in messages(read_rows(tmp_path), timedelta())] == ["v1", "v1"]


def test_the_last_event_is_moved_to_now(tmp_path: Path) -> None:
    write(tmp_path, "20250223", HEADER + VIEW)
    rows = read_rows(tmp_path)
    now = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
    (message,) = messages(rows, shift_to(now, rows))
    moved = datetime.fromisoformat(message["timestamp"])
    assert now - timedelta(seconds=1) <= moved <= now


def test_a_filled_popup_brings_the_address(tmp_path: Path) -> None:
    row = 'v1,https://s.example/,,2025-02-23T00:00:01Z,email_filled_on_popup,"{""user_email"":""abc""}",A\n'
    write(tmp_path, "20250223", HEADER + row)
    (message,) = messages(read_rows(tmp_path), timedelta())
    assert message["event"] == "Email Popup Submitted"
    assert message["context"]["traits"] == {"email": "abc@shopper.example.com"}


def test_a_visitor_less_row_stays_without_identity(tmp_path: Path) -> None:
    write(tmp_path, "20250223", HEADER + VIEW.replace("v1", ""))
    (message,) = messages(read_rows(tmp_path), timedelta())
    assert "anonymousId" not in message


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoEvents, match="events_"):
        read_rows(tmp_path)
