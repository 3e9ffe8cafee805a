"""`leadline status`."""

from leadline.cli.client import connect
from leadline.cli.options import AsJson, Key, Url
from leadline.cli.output import show


def status(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show counts, lags and ages of a running Leadline."""
    with connect(url, key) as leadline:
        show(leadline.get("/v1/status"), as_json=as_json)
