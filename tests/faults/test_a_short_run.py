"""A short run of the fault suite on machines of each kind and bus; `make faults` runs as long as you like."""

from pathlib import Path

import pytest

from tests.faults.run import SECONDS_A_BLOW, BusName, Plan, run
from tests.support.kafka import kafka_jars

SECONDS = 20
SEED = 4


@pytest.mark.parametrize(("machine", "bus"), [("standalone", "postgres"), ("apart", "kafka")])
def test_what_was_promised_holds_under_kills_and_freezes(machine: str, bus: BusName, tmp_path: Path) -> None:
    if bus == "kafka":
        kafka_jars()
    report = run(machine, Plan(SEED, SECONDS, bus=bus), tmp_path)
    assert report.findings == {}, "\n".join(report.lines())
    assert sum(report.blows.values()) >= SECONDS // SECONDS_A_BLOW
    assert report.kills + report.freezes >= 1
    assert report.counts["acknowledged events"] > 0
    assert report.counts["warnings, breaches and rungs"] > 0
    assert report.counts["scores"] > 0
