"""runtime: Plan → steps whose needs are done → results → answer, as a LangGraph graph with plain JSON state."""
