"""Each framework's tests run in an environment of its own (`make test-integrations`): their pins conflict."""

from __future__ import annotations

from importlib.util import find_spec

NEEDS = {
    "crewai": "crewai",
    "langchain": "langchain_tests",
    "openai_agents": "agents.tool",  # `agents` alone is a folder of ours
    "pydantic_ai": "pydantic_ai",
}
"""Folder → the package without which its tests cannot run."""

collect_ignore = [folder for folder, package in NEEDS.items() if not find_spec(package)]
