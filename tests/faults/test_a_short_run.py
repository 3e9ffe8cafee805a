"""A short run of the fault suite on each kind of machine; `make faults` runs it as long as you like."""

from pathlib import Path

import pytest

from tests.faults.run import MACHINES, SECONDS_A_BLOW, Plan, run

SECONDS = 20
SEED = 4


@pytest.mark.parametrize("machine", MACHINES)
def test_what_was_promised_holds_under_kills_and_freezes(machine: str, tmp_path: Path) -> None:
    report = run(machine, Plan(SEED, SECONDS), tmp_path)
    assert report.findings == {}, "\n".join(report.lines())
    assert sum(report.blows.values()) >= SECONDS // SECONDS_A_BLOW
    assert report.kills + report.freezes >= 1
    assert report.counts["acknowledged events"] > 0
    assert report.counts["warnings, breaches and rungs"] > 0
    assert report.counts["scores"] > 0
