"""Calls and what budgets have spent before: who waits until that is read, for how long, and who does not."""

import asyncio
import threading

import pytest

from orchestra import Orchestra
from orchestra.errors import DeadlineExceeded, LedgerError
from orchestra.fleet import Fleet
from orchestra.ledger import Charges, Waited
from orchestra.testing import ScriptedModel, scripted_transport
from orchestra.types import Budget, Price


def app_at(path):
    model = ScriptedModel("small", lambda _: "ok", price=Price(1.0, 1.0))
    budgets = [Budget(1.0, "month", {"tenant": ("acme",)})]
    return Orchestra(
        Fleet.from_cards([model.card()], budgets=budgets), ledger=path, transport=scripted_transport(model)
    )


@pytest.fixture
def go(monkeypatch):
    """What lets readings of a period go on."""
    event, within = threading.Event(), Charges.within
    monkeypatch.setattr(Charges, "within", lambda *given: (event.wait(20), within(*given))[1])
    yield event
    event.set()


async def test_a_call_waits_until_its_budget_is_read_and_those_of_others_do_not(go, tmp_path):
    async with app_at(tmp_path / "ledger.db") as app:
        acme = asyncio.create_task(app.complete("?", tenant="acme"))
        for _ in range(3):
            assert (await app.complete("?", tenant="other")).text == "ok"
        await asyncio.sleep(0.02)
        assert not acme.done()
        go.set()
        assert (await acme).text == "ok"
        found = [row.event for one in app.ledger.runs() for row in app.ledger.events(one.run)]
    assert [event.why for event in found if isinstance(event, Waited)] == ["money"]


async def test_a_call_waits_for_its_budget_no_longer_than_its_deadline(go, tmp_path):
    async with app_at(tmp_path / "ledger.db") as app:
        with pytest.raises(DeadlineExceeded, match="the deadline passed while what its budgets have spent was read"):
            await app.complete("?", tenant="acme", deadline=0.05)
        go.set()
        assert (await app.complete("?", tenant="acme")).text == "ok"


async def test_an_app_that_is_closed_does_not_wait_for_a_reading(go, tmp_path):
    app = app_at(tmp_path / "ledger.db")
    acme = asyncio.create_task(app.complete("?", tenant="acme"))
    await asyncio.sleep(0.02)
    await app.aclose()
    with pytest.raises(LedgerError, match="the app was closed"):
        await acme
    assert not go.is_set()
