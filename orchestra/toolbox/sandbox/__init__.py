"""sandbox: Python that a model wrote runs in a caged process: no network, no files but its own, bounded means."""

from orchestra.toolbox.sandbox.kind import sandbox_kind, unheld
from orchestra.toolbox.sandbox.run import Ran, run_python

__all__ = ["Ran", "run_python", "sandbox_kind", "unheld"]
