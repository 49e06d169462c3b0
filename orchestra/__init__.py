"""Orchestra: planner-executor agents as graphs, every step routed to the model that fits it."""
