"""The servers of embedded models: started when a step first needs one, shared by all that come after."""

from __future__ import annotations

import asyncio
import atexit
import threading
from concurrent.futures import Future
from pathlib import Path

from orchestra.local.files import weights_file
from orchestra.local.llama import Serve, serve_gguf
from orchestra.local.store import WeightStore
from orchestra.types import ModelCard


class LocalServers:
    """One server per weights file, window and concurrency: started when first asked for, shared, stopped at exit."""

    def __init__(self, store: WeightStore | None = None, serve: Serve = serve_gguf) -> None:
        self._store = store or WeightStore()
        self._serve = serve
        self._lock = threading.Lock()
        self._running: dict[tuple[Path, int, int | None], _Running] = {}

    async def endpoint(self, card: ModelCard) -> str:
        """The base URL of the card's model for dialect openai-chat. Raises ConfigError or WeightsError.

        Waits until the model is loaded; a failed start is tried again by the next caller.
        """
        path = weights_file(card, self._store)
        key = (path, card.window, card.concurrency)
        with self._lock:
            running = self._running.get(key)
            if running is None or running.failed:
                running = self._running[key] = _Running(self._serve, path, card)
                # llama.cpp's threads crash the interpreter if they still work while it is torn down.
                atexit.register(self.close)
        return await asyncio.wrap_future(running.base_url)

    def close(self) -> None:
        """Stop every server and give its memory back; close the connections to them first.

        llama.cpp waits for exchanges that are still open, up to 30 s, and nothing else runs meanwhile.
        """
        atexit.unregister(self.close)
        with self._lock:
            stopping, self._running = self._running, {}
        for running in stopping.values():
            running.stop()


class _Running:
    """A server owned by a thread: it is started there, and its destructor, which stops it, runs there."""

    def __init__(self, serve: Serve, path: Path, card: ModelCard) -> None:
        self.base_url = Future[str]()
        # Marked as running, so that a cancelled step cannot cancel the start that others wait for.
        self.base_url.set_running_or_notify_cancel()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(serve, path, card), name=f"model {card.model}", daemon=True
        )
        self._thread.start()

    @property
    def failed(self) -> bool:
        """True where the start raised."""
        return self.base_url.done() and self.base_url.exception() is not None

    def stop(self) -> None:
        """Stop the server, or wait for its start and stop it then."""
        self._stop.set()
        self._thread.join()

    def _run(self, serve: Serve, path: Path, card: ModelCard) -> None:
        try:
            server = serve(path, card)
            self.base_url.set_result(server.listening_address + "/v1")
        except Exception as error:  # noqa: BLE001 (handed to whoever waits)
            self.base_url.set_exception(error)
            return
        self._stop.wait()
