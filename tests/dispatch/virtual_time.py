"""An event loop whose time moves only when nothing else is left to do, and then at once to what comes next."""

import asyncio
import selectors


class VirtualTime(asyncio.SelectorEventLoop):
    """`asyncio.sleep` and `asyncio.timeout` take no real time; `loop.time` is the clock, in seconds from 0."""

    def __init__(self):
        self.now = 0.0
        super().__init__(_Hasty(self))

    def time(self):
        return self.now


class _Hasty(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self.loop = loop

    def select(self, timeout=None):
        assert timeout is not None, "everybody waits for somebody else"
        self.loop.now += timeout
        return super().select(0)


def in_virtual_time(work):
    """The result of a coroutine, on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(work)
