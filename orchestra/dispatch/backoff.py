"""How long to wait before the same request goes to the same model again."""

BASE, CAP = 0.2, 30.0  # seconds


def backoff(retries: int, retry_after: float | None, draw: float) -> float:
    """Seconds to wait after `retries` retries: full jitter, after what the provider asked for.

    `draw` is one random number in [0, 1). Full jitter: a uniform share of min(CAP, BASE * 2^retries). It comes on top
    of `retry_after`, because all who were told to come back at one moment would be refused there together.
    """
    return (retry_after or 0.0) + draw * min(CAP, BASE * 2**retries)
