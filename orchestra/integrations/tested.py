"""Which versions of a framework an integration was tested with; others are told once."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import version

from packaging.specifiers import SpecifierSet


class UntestedVersion(UserWarning):
    """The installed framework is outside the range that its integration was tested with."""


@cache
def warn_untested(framework: str, distribution: str, tested: str) -> None:
    """Warn UntestedVersion, once a process, where `distribution` is not in `tested` (such as ">=1.2,<2")."""
    installed = version(distribution)
    if not SpecifierSet(tested).contains(installed, prereleases=True):
        text = (
            f"{framework}: {distribution} {installed} is installed; orchestra was tested with {distribution} {tested}"
        )
        warnings.warn(text, UntestedVersion, stacklevel=3)
