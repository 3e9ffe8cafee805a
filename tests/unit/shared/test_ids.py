"""Ids that are derived are what the standard says, the same for everybody who derives them."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import event_id, handoff_id

NAMESPACE = uuid.UUID("6f0d7a52-6a4c-5d0e-9f6e-3b1f0c8f4f10")


@given(
    st.text(st.characters(codec="utf-8"), max_size=40), st.text(st.characters(codec="utf-8"), max_size=120)
)
def test_an_event_id_is_the_uuid5_of_source_and_message_id(source: str, message_id: str) -> None:
    assert event_id(source, message_id) == str(uuid.uuid5(NAMESPACE, f"{source}\x00{message_id}"))


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.integers(1, 99), st.integers(1, 999))
def test_a_handoff_id_is_the_uuid5_of_lead_cycle_and_number(lead_id: str, cycle: int, seq: int) -> None:
    assert (
        handoff_id(lead_id, cycle, seq) == "ho_" + uuid.uuid5(NAMESPACE, f"{lead_id}\x00{cycle}\x00{seq}").hex
    )
