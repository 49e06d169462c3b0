"""Models with several keys and places, and a bench on which each of them answers by a script of its own."""

from dataclasses import replace

from orchestra.dispatch import Endpoint
from orchestra.types import CallFault, Deployment, Trigger
from tests.dispatch.doubles import PRICED, Bench, Endpoints, MemoryTransport, card, decide

OTHERS = (card("strong", "capable"), card("giant", "frontier"))


def keyed(*keys, name="small", **facts):
    """A model with these keys."""
    return card(name, keys=tuple(f"env:{key}" for key in keys), **PRICED, **facts)


def placed(name="small", **places):
    """A model served at these places, each with its keys."""
    ways = [
        Deployment(key=f"env:{key}", base_url=f"http://{where}.invalid/v1", regions=(where,))
        for where, keys in places.items()
        for key in keys.split()
    ]
    return card(name, deployments=tuple(ways), **PRICED)


def elsewhere(name):
    """A model of another provider, without keys."""
    return replace(card(name, **PRICED), provider="q")


class PooledEndpoints(Endpoints):
    """Each card's own place and key; a key's value is its name, until `values` has another."""

    def __init__(self, **options):
        super().__init__(**options)
        self.values = {}

    def of(self, card):
        """With them."""
        key = next((key.removeprefix("env:") for key in card.keys), None)
        key = self.values.get(key, key)
        return Endpoint(card.base_url or "http://provider.invalid/v1", key)


class PooledTransport(MemoryTransport):
    """Answers by the key that a request came with, else by the model; `asked` is by whom each was answered."""

    def __init__(self, scripts):
        super().__init__(scripts)
        self.asked = []

    def who(self, request):
        self.asked.append(dict(request.headers).get("authorization", "")[len("Bearer ") :] or super().who(request))
        return self.asked[-1]


class Pool(Bench):
    """A bench of models with keys: `await pool.run(...)` is a call, `pool.asked` says which keys it took."""

    def __init__(self, scripts, *cards, draw=0.0, unset=(), **options):
        endpoints = PooledEndpoints(unset=[f"env:{key}" for key in unset])
        super().__init__(
            cards=(*cards, *OTHERS), transport=PooledTransport(scripts), endpoints=endpoints, draw=draw, **options
        )

    @property
    def traffic(self):
        return self.dispatcher.traffic

    @property
    def asked(self):
        asked, self.transport.asked = self.transport.asked, []
        return asked

    def way(self, model="small"):
        """Where a call of this model would go now."""
        return self.traffic.way(next(one for one in self.cards if one.name == model), super().call().request)

    def target(self, key):
        """That of the first model with this key."""
        return self.lane(key).target

    def lane(self, key):
        """What is known of it."""
        return next(one for one in self.traffic.lanes[self.cards[0].name] if one.target.key == key)

    def lose(self, model):
        """An attempt of another call fails there."""
        way = self.way(model)
        self.traffic.leave(way, self.traffic.enter(way), CallFault(Trigger.server_error, "down"), 1.0, None)

    def spend_retries(self, leave=0, provider="p"):
        """Others have used up the provider's budget but for some."""
        for _ in range(10 - leave):
            assert self.traffic.may_retry(provider)

    def call(self, **options):
        """Of the first model; `siblings` are the other ones of its tier, unless it says otherwise."""
        small, *others = (one.name for one in self.cards if one.tier == "efficient")
        return super().call(decision=options.pop("decision", None) or self.decide(small, others), **options)

    def decide(self, model="small", siblings=(), ladder=()):
        return decide(model, ladder, tuple(siblings), self.cards)
