"""What LangChain asks a model about itself, said of a fleet: the gates choose a model that can do what a call needs."""

from __future__ import annotations

from langchain_core.language_models import ModelProfile

from orchestra.fleet import Fleet

__all__ = ["profile_of"]


def profile_of(fleet: Fleet) -> ModelProfile:
    """What some model of the fleet can do."""
    cards = fleet.models.values()
    can = [card.capabilities for card in cards]
    return ModelProfile(
        max_input_tokens=max(card.window for card in cards),
        max_output_tokens=max(card.max_output for card in cards),
        text_inputs=True,
        image_inputs=any(one.images for one in can),
        pdf_inputs=any(one.documents for one in can),
        audio_inputs=False,
        video_inputs=False,
        text_outputs=True,
        tool_calling=any(one.tools != "none" for one in can),
        tool_choice=True,
        tool_call_streaming=True,
        structured_output=True,
        reasoning_output=any(one.reasoning_effort for one in can),
    )
