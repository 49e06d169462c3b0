"""Reads a Google-style docstring: what the tool does, and what each parameter means."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"(Args|Arguments|Parameters|Raises):\s*")
_ENTRY = re.compile(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


def read_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """The description without its `Args:` and `Raises:` sections, and the text of each parameter.

    `Returns:` stays in the description: a model plans better when it knows what comes back.
    """
    about: list[str] = []
    arguments: list[str] = []
    target = about
    for line in inspect.cleandoc(text or "").splitlines():
        if section := _SECTION.fullmatch(line):
            target = [] if section[1] == "Raises" else arguments
            continue
        if line[:1].strip():  # text at the margin ends an indented section
            target = about
        target.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(about)).strip(), _entries(inspect.cleandoc("\n".join(["", *arguments])))


def _entries(section: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if entry := _ENTRY.fullmatch(line):
            name, entries[entry[1]] = entry[1], entry[2].strip()
        elif name:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries
