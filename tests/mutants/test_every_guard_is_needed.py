"""The mutants stay true to the source, the judge is strict, and the core of the spine is tried each time."""

import ast
from collections.abc import Iterator

import pytest

from tests.mutants.mutant import ROOT, Edit, Mutant, SnippetNotFound
from tests.mutants.table import MUTANTS
from tests.mutants.trial import Bench, Outcome, judge

# One for each promise of the delivery rules; `make mutants` tries them all.
TRIED_EACH_TIME = (
    "no upsert on event ids",
    "no comparison of snapshots",
    "no contiguity check",
    "position after the transaction",
    "no fence",
    "outbox outside the transaction",
    "cursor relay",
    "no unique index on open hand-offs",
    "no lock of leads",
    "answer before the commit",
)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@pytest.fixture(scope="module")
def bench(postgres_server: str) -> Iterator[Bench]:
    with Bench(postgres_server) as opened:
        yield opened


@pytest.mark.parametrize("name", TRIED_EACH_TIME)
def test_its_check_fails_without_the_guard(bench: Bench, name: str) -> None:
    verdict = bench.try_mutant(BY_NAME[name])
    assert verdict.caught, verdict.why


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_source_and_names_a_check_that_is_there(mutant: Mutant) -> None:
    for file, source in mutant.sources().items():
        assert source != (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            ast.parse(source)
    path, *_, check = mutant.check.split("::")
    assert f"def {check.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
    assert mutant.says


def test_no_two_mutants_have_one_name() -> None:
    assert len(BY_NAME) == len(MUTANTS)


@pytest.mark.parametrize("source", ["", "guard guard"])
def test_a_snippet_that_is_not_there_exactly_once_is_an_error(source: str) -> None:
    with pytest.raises(SnippetNotFound):
        Edit("file.py", "guard", "").of(source)


@pytest.mark.parametrize(
    ("outcome", "caught"),
    [
        (Outcome("failed", "AssertionError: sent twice"), True),
        (Outcome("failed", "assert [1, 1] == [1], sent twice"), True),
        (Outcome("failed", "assert 3 == 4"), False),
        (Outcome("failed", "KeyError: 'sent twice'"), False),
        (Outcome("failed", "Failed: Timeout (>300.0s) from pytest-timeout. sent twice"), False),
        (Outcome("broken", "AssertionError: sent twice"), False),
        (Outcome("passed"), False),
    ],
)
def test_only_an_assertion_for_the_expected_reason_counts(outcome: Outcome, caught: bool) -> None:
    mutant = Mutant("any", "any", [], "tests/any.py::test_any", "sent twice")
    assert judge(mutant, outcome, 0.0).caught is caught


def test_a_source_that_cannot_be_imported_is_no_catch(bench: Bench) -> None:
    check = BY_NAME["no fence"].check
    edit = Edit("shared/consumer/positions.py", "class Fenced(Exception):", "class Fenced(")
    verdict = bench.try_mutant(Mutant("any", "any", [edit], check, "Fenced"))
    assert not verdict.caught
    assert "the check broke" in verdict.why
