"""Run by `build.py` in the folder of translated sources."""

import os
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

HERE = Path(__file__).parent
MODULES = (HERE / "modules.txt").read_text(encoding="utf-8").split()
LIBRARIES = mypycify(
    [f"--config-file={HERE / 'mypy.ini'}", *MODULES, "orchestra/_native_value.py"],
    opt_level=os.environ["ORCHESTRA_OPTIMISE"],
    debug_level="0",
    multi_file=True,
    group_name="orchestra",
)
setup(name="orchestra", packages=[], ext_modules=LIBRARIES)
