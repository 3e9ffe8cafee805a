"""`leadline status`."""

from leadline.cli.client import connect
from leadline.cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Key, Url
from leadline.cli.output import show


def status(
    url: Url = None, key: Key = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """Show counts, lags and ages of a running Leadline."""
    with connect(url, key, data_dir) as leadline:
        show(leadline.get("/v1/status"), as_json=as_json)
