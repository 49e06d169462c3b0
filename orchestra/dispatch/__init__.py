"""dispatch: Decision → **attempts** → accepted reply: endpoint, deadlines, retry, sideways, stream commit, money."""

from orchestra.dispatch.call import Accepted, Call, DispatchEvent, Endpoint, Endpoints
from orchestra.dispatch.dispatcher import Dispatcher
from orchestra.dispatch.purse import Purse, Reservation

__all__ = ["Accepted", "Call", "DispatchEvent", "Dispatcher", "Endpoint", "Endpoints", "Purse", "Reservation"]
