"""A forked child uses the app that its parent made and used, as a server does that loads it before it forks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestra.testing import FakeProvider, Say

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")

FORKS = """
import asyncio, os, sys, warnings
from orchestra import Orchestra
from orchestra.transport import {transport}

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
app = Orchestra.from_file("fleet.toml", ledger="ledger.db", transport={transport}())

def sync():
    return app.complete_sync("hi", deadline=20).text

def alone():
    return asyncio.run(app.complete("hi", deadline=20)).text

parent = {parent}
child = {child}
assert parent() == "hello"
pid = os.fork()
if not pid:
    assert (child(), child()) == ("hello", "hello")
    app.close()
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
assert parent() == "hello"
app.close()
print("fine")
"""


@pytest.mark.parametrize("transport", ["AiohttpTransport", "HttpxTransport"])
@pytest.mark.parametrize(("parent", "child"), [("sync", "sync"), ("sync", "alone"), ("alone", "sync")])
def test_a_child_is_answered_and_leaves_the_parent_its_connection(
    transport: str, parent: str, child: str, tmp_path: Path
) -> None:
    with FakeProvider({"small": Say("hello")}) as provider:
        fleet = f'[models.small]\nmodel = "small"\ndialect = "openai-chat"\nbase_url = "{provider.base_url}"\n'
        (tmp_path / "fleet.toml").write_text(fleet + "price = { input = 0, output = 0 }\nwindow = 8000\n")
        script = FORKS.format(transport=transport, parent=parent, child=child)
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
        assert len(provider.requests) == 4
