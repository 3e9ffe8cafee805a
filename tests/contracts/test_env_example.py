"""Every setting is documented where people look for it."""

from tests.support.env_example import ROOT, render


def test_env_example_lists_every_setting_with_its_default_and_meaning() -> None:
    written = (ROOT / ".env.example").read_text()
    assert written == render(), "run: python -m tests.support.env_example > .env.example"
