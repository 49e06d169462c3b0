"""One exchange: how it ends where the transport itself is at fault."""

from dataclasses import replace

import pytest

from orchestra.types import Trigger, Usage
from tests.dispatch.doubles import Bench, MemoryResponse, MemoryTransport, say


class Unclosable(MemoryResponse):
    async def aclose(self):
        raise OSError("already gone")


class FirstUnclosable(MemoryTransport):
    async def send(self, request):
        response = await super().send(request)
        return Unclosable(self, response._served) if self.opened == 1 else response


async def test_a_connection_that_cannot_be_given_back_fails_the_attempt_and_not_the_run():
    bench = Bench({"small": [say("one"), say("two")]})
    bench.transport = FirstUnclosable({"small": [say("one"), say("two")]})
    bench.dispatcher._means = replace(bench.dispatcher._means, transport=bench.transport)
    accepted = await bench.run()
    assert accepted.reply.text == "two"
    assert [one.trigger for one in accepted.attempts] == [Trigger.bad_reply, None]
    assert "OSError: already gone" in accepted.attempts[0].evidence[0]


@pytest.mark.parametrize("lead", [b"", b": ping\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
async def test_an_event_stream_that_is_called_json_is_read(lead):
    served = say("one ", "two")
    served = replace(served, pieces=[lead, *served.pieces], headers={"content-type": "application/json"})
    accepted = await Bench({"small": [served]}).run()
    assert accepted.reply.text == "one two"
    assert accepted.reply.usage == Usage(100, 10)
