"""One transaction of the consumer takes a full batch, with teams as large as the linter lets them be."""

from services.routing.bootstrap import CONSUMING
from services.routing.domain.policy import MAX_TEAM_SIZE
from tests.integration.routing.desk_support import Office, a_policy, a_snapshot


async def test_a_full_batch_over_a_full_team_is_decided_fairly_in_one_transaction(office: Office) -> None:
    await office.publish(a_policy(*(f"rep{n:03}" for n in range(MAX_TEAM_SIZE)), version="p2"))
    leads = [f"ld_{n}" for n in range(CONSUMING.max_records)]
    await office.receive(*(a_snapshot(lead) for lead in leads))
    holders = [handoff.person_id for lead in leads if (handoff := (await office.lead(lead)).handoff)]
    assert len(holders) == len(leads)
    assert len(set(holders)) == len(leads), "nobody gets a second lead before others had their first"
