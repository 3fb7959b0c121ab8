import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def request_id() -> str:
    """The request of the data directory in ``data``."""
    return "req_V4j2dFlj_20261129T165643"


@pytest.fixture
def data() -> Path:
    """A data directory as ``trackdrop run`` left it; see ``examples/README.md``."""
    return Path(os.environ.get("TRACKDROP_EXAMPLES", Path(__file__).parents[2] / "examples")) / "data"
