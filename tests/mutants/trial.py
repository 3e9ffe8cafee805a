"""Running checks on a copy of the project, and what the outcome says about a mutant."""

import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.mutants.mutant import Mutant, copied_project

WARM = Path(__file__).with_name("warm.py")
LONGEST_SECONDS = 120
# A check that has seen something says so by an assertion; every other exception is an accident.
_ASSERTION = re.compile(r"assert |AssertionError|Failed: DID NOT RAISE")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended, and the reason it gave. `broken`: it could not say (set-up, import, time-out)."""

    ended: Literal["passed", "failed", "broken"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a mutant was caught; `why` says what happened where it was not."""

    mutant: Mutant
    caught: bool
    why: str
    seconds: float


class Bench:
    """Runs checks on copies of the project, one after the other; databases are made on `server`, a URL."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._process = subprocess.Popen(
            [sys.executable, str(WARM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(LONGEST_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def run(self, project: Path, checks: Sequence[str]) -> dict[str, Outcome]:
        """Run pytest nodes on the copy `project`; return their outcomes."""
        report, said = project / "report.xml", project / "said.txt"
        ended = self._ask(
            project=str(project),
            environment={"PYTHONPATH": str(project), "LEADLINE_TEST_DATABASE": self._server},
            arguments=[
                *("-q", "-p", "no:cacheprovider", f"--rootdir={project}", f"--junitxml={report}", *checks),
                # Its plugins have been imported already; their assertions are not looked at here.
                *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
            ],
            output=str(said),
            seconds=LONGEST_SECONDS * len(checks),
        )
        if not ended:
            return dict.fromkeys(checks, Outcome("broken", f"no end within {LONGEST_SECONDS} s"))
        outcomes = _outcomes(report) if report.exists() else {}
        missing = Outcome("broken", said.read_text(errors="replace").strip()[-300:])
        return {check: outcomes.get(_spelled(check), missing) for check in checks}

    def _ask(self, **asked: object) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return bool(json.loads(self._process.stdout.readline()))

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """Run the mutant's check on a copy that has its changes, and judge."""
        started = time.monotonic()
        with copied_project(mutant) as project:
            outcome = self.run(project, [mutant.check])[mutant.check]
        return judge(mutant, outcome, time.monotonic() - started)

    def failing_unmutated(self, mutants: Sequence[Mutant]) -> list[str]:
        """Run every check on the source as it is; say of each that does not pass what it said."""
        with copied_project() as project:
            outcomes = self.run(project, list(dict.fromkeys(mutant.check for mutant in mutants)))
        return [f"{check}: {one.reason[:300]}" for check, one in outcomes.items() if one.ended != "passed"]


def judge(mutant: Mutant, outcome: Outcome, seconds: float) -> Verdict:
    """Say whether the check failed for the reason it should."""
    if outcome.ended == "passed":
        return Verdict(mutant, False, "the check passes without the guard", seconds)
    if outcome.ended == "broken" or not _ASSERTION.match(outcome.reason):
        return Verdict(mutant, False, f"the check broke: {outcome.reason[:300]}", seconds)
    if not re.search(mutant.says, outcome.reason):
        return Verdict(mutant, False, f"the check failed for another reason: {outcome.reason[:300]}", seconds)
    return Verdict(mutant, True, "", seconds)


def _outcomes(report: Path) -> dict[tuple[str, str], Outcome]:
    found: dict[tuple[str, str], Outcome] = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # our own pytest has written it
        key = (case.get("classname", ""), case.get("name", ""))
        failure, error, skipped = case.find("failure"), case.find("error"), case.find("skipped")
        if error is not None:
            found[key] = Outcome("broken", error.get("message", ""))
        elif skipped is not None:
            found[key] = Outcome("broken", f"skipped: {skipped.get('message', '')}")
        elif failure is not None:
            found[key] = Outcome("failed", failure.get("message", ""))
        else:
            found[key] = Outcome("passed")
    return found


def _spelled(check: str) -> tuple[str, str]:
    """Return the class and name by which the report calls a pytest node."""
    path, *inside, name = check.split("::")
    return ".".join([path.removesuffix(".py").replace("/", "."), *inside]), name
