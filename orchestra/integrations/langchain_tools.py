"""Tools of ours for LangChain: `create_agent(model, langchain_tools([rows]))`. LangChain's are taken as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr
from typing_extensions import override

from orchestra.integrations.langchain_messages import to_langchain
from orchestra.runtime.portal import refuse_in_loop
from orchestra.toolbox import Tool, as_tools, execute
from orchestra.types import Message, ToolCall, Trigger


def langchain_tools(objects: Iterable[object]) -> list[BaseTool]:
    """Tools, plain functions and LangChain tools, in order, for LangChain. Raises ToolError."""
    items = list(objects)
    return [one if isinstance(one, BaseTool) else LangChainTool.of(as_tools([one])[0]) for one in items]


class ToolEndedBadly(ToolException):
    """A tool of ours failed; the text is what the model reads."""

    def __init__(self, text: str, trigger: Trigger) -> None:
        super().__init__(text)
        self.trigger = trigger


class LangChainTool(BaseTool):
    """A tool of ours as LangChain sees it: validated against its own schema, timed, its failure a readable result.

    `invoke` raises SyncInLoop inside a running event loop.
    """

    _tool: Tool = PrivateAttr()

    @classmethod
    def of(cls, tool: Tool) -> LangChainTool:
        """The view of a tool."""
        view = cls(name=tool.name, description=tool.description, args_schema=dict(tool.schema), handle_tool_error=True)
        view._tool = tool
        return view

    @property
    def orchestra_tool(self) -> Tool:
        """The tool itself, by which `as_tools` gets it back."""
        return self._tool

    def raising(self) -> LangChainTool:
        """The same, but that its failure is raised: ToolEndedBadly."""
        return self.model_copy(update={"handle_tool_error": False})

    @override
    def _run(self, *args: Any, **arguments: Any) -> Any:
        refuse_in_loop("invoke")
        return asyncio.run(self._arun(**arguments))

    @override
    async def _arun(self, *args: Any, **arguments: Any) -> Any:
        made = await execute(self._tool, ToolCall(uuid4().hex, self.name, arguments))
        told = to_langchain([Message("tool", (made.result,))])[0]
        if made.trigger is not None:
            raise ToolEndedBadly(told.text, made.trigger)
        return told.content
