"""What messages show of themselves."""

import pytest

from orchestra.fleet import message_tokens
from orchestra.routing import features, prompt_cache
from orchestra.routing.features import has_code_block
from orchestra.types import (
    Document,
    Image,
    Message,
    ModelCard,
    Origin,
    Step,
    StepContext,
    Text,
    ToolResult,
    ToolSpec,
)

PICTURE = Image("image/png", data="AA==")
REPORT = Document("application/pdf", url="http://x/r.pdf")


def test_features_are_fields_of_the_context():
    messages = [Message.system("Be brief"), Message.user("first"), Message.assistant("ok"), Message.user("second")]
    tools = [ToolSpec("rows", "", {})]
    context = StepContext(Step("s"), **features(messages, tools))
    assert (context.text, context.tools, context.modalities, context.documents) == ("second", ("rows",), ("text",), 0)
    assert context.tokens == message_tokens(messages, tools)


def test_several_texts_that_a_user_sent_do_not_run_into_each_other():
    """The last word of one and the first of the next are words that rules look for."""
    sent = (Text("Here are the notes"), Text("Summarise them\n"), PICTURE, Text("please"))
    assert features([Message("user", sent)])["text"] == "Here are the notes\nSummarise them\nplease"
    assert Message("assistant", (Text("It is "), Text("42."))).text == "It is 42."  # pieces of one


def test_images_and_documents_are_found_also_in_tool_results():
    seen = features(
        [Message("user", (Text("look"), PICTURE)), Message("tool", (ToolResult("1", "t", (REPORT, REPORT)),))]
    )
    assert (seen["modalities"], seen["documents"]) == (("text", "image", "document"), 2)


def test_a_document_that_is_a_text_asks_for_no_model_that_reads_documents_and_counts_as_its_text():
    rows = Document("text/csv", "a.csv", data="QUFB" * 1200)
    seen = features([Message("user", (Text("sum up"), rows))])
    assert (seen["modalities"], seen["documents"]) == (("text",), 1)
    assert seen["tokens"] == features([Message.user("sum up")])["tokens"] + 1000
    assert features([Message("user", (rows, REPORT))])["modalities"] == ("text", "document")
    assert features([Message("user", (REPORT,))])["modalities"] == ("text", "document")


def test_no_messages_are_no_error():
    assert features([]) == {"text": "", "tokens": 0, "modalities": ("text",), "documents": 0, "tools": ()}


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("```py\nx\n```", True),
        ("see:\n  ~~~\nx", True),
        ("the ``` in a line", False),
        ("    ```\nindented by four", False),
        ("`inline`", False),
        ("", False),
    ],
)
def test_a_code_block_is_a_fence_at_the_start_of_a_line(text, has):
    assert has_code_block(text) is has


def test_the_prompt_cache_is_with_the_model_that_spoke_last():
    card = ModelCard("small", "qwen", "local", "openai-chat", "efficient")
    said = Message("assistant", (Text("Hello there.", Origin("local", "openai-chat", "qwen")),))
    talk = [Message.user("Hi"), said, Message.user("And now?")]
    assert prompt_cache(talk, {"small": card}) == {"current_model": "small", "cached_tokens": message_tokens(talk[:2])}
    assert prompt_cache(talk, {}) == {"current_model": None, "cached_tokens": 0}
    assert prompt_cache(talk[:1], {"small": card}) == {"current_model": None, "cached_tokens": 0}


def test_what_a_user_quotes_of_a_model_is_in_no_prompt_cache():
    card = ModelCard("small", "qwen", "local", "openai-chat", "efficient")
    quoted = Message("user", (Text("Hello there.", Origin("local", "openai-chat", "qwen")),))
    assert prompt_cache([quoted], {"small": card}) == {"current_model": None, "cached_tokens": 0}
