"""Configuration files: data with lines, and a precise refusal of what cannot be read."""

from datetime import date

import pytest

from shared.config_file import ConfigError, ConfigFinding, parse


def refusal(text: str) -> ConfigFinding:
    with pytest.raises(ConfigError) as refused:
        parse(text, file="policy.yaml")
    (finding,) = refused.value.findings
    assert finding.file == "policy.yaml"
    assert finding.fix
    return finding


def test_every_value_knows_its_line() -> None:
    document = parse("a: 1\nb:\n  - x\n  - c: 2.5\n", file="f.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2.5}]}
    assert document.line_of(("a",)) == 1
    assert document.line_of(("b",)) == 2
    assert document.line_of(("b", 1, "c")) == 4
    assert document.line_of(("b", 1, "missing")) == 4


def test_a_finding_points_at_its_value() -> None:
    document = parse("teams:\n  - name: North\n    cap: 0\n", file="f.yaml")
    finding = document.finding(("teams", 0, "cap"), "too small", "give 1 or more")
    assert (finding.line, finding.path) == (3, "teams.0.cap")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),  # Norway
        ("on", "on"),
        ("9:00", "9:00"),  # an opening hour, not 540
        ("0123", "0123"),  # a telephone prefix, not an octal number
        ("1_000", "1_000"),
        ("true", True),
        ("~", None),
        ("", None),
        ("-7", -7),
        ("1e3", 1000.0),
        ("2026-12-25", date(2026, 12, 25)),
        ("'2026-12-25'", "2026-12-25"),
    ],
)
def test_plain_values_are_read_as_yaml_1_2(written: str, value: object) -> None:
    assert parse(f"key: {written}\n", file="f.yaml").data == {"key": value}


def test_keys_stay_as_written() -> None:
    assert parse("on: 1\n5: 2\n", file="f.yaml").data == {"on": 1, "5": 2}


def test_a_repeated_key_is_refused_with_both_lines() -> None:
    finding = refusal("a: 1\nb: 2\na: 3\n")
    assert finding.line == 3
    assert "line 1" in finding.message


def test_what_is_not_yaml_is_refused_with_its_line() -> None:
    assert refusal("a: 1\nb: [1, 2\nc: 3\n").line >= 2
    assert refusal("a: 1\n\tb: 2\n").line == 2
    assert refusal("a: \x07\n").line == 1


def test_two_documents_in_one_file_are_refused() -> None:
    assert refusal("a: 1\n---\nb: 2\n").line == 2


def test_a_tag_for_an_object_is_refused() -> None:
    assert refusal("a: 1\nb: !!python/object/apply:os.system ['true']\n").line == 2


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    assert "values" in refusal("\n".join(lines)).message


def test_an_alias_to_itself_is_refused() -> None:
    assert refusal("a: &a [*a]\n").line == 1


def test_deep_nesting_is_refused() -> None:
    assert "nested" in refusal("[" * 5000 + "]" * 5000).message
    assert "nested" in refusal("[" * 100 + "]" * 100).message


def test_a_huge_file_is_refused() -> None:
    assert "longer" in refusal("a: " + "x" * 300_001).message


@pytest.mark.parametrize("written", ["1e999", "9" * 5000, "2026-02-30"])
def test_numbers_and_dates_out_of_range_are_refused(written: str) -> None:
    assert refusal(f"a: 1\nb: {written}\n").line == 2


def test_an_empty_file_is_null() -> None:
    assert parse("# nothing\n", file="f.yaml").data is None
