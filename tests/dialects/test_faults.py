import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects import codec
from orchestra.dialects.faults import stream_fault
from orchestra.types import Trigger

CODEC = codec("openai-chat")


def body(message="no", type=None, code=None):
    return json.dumps({"error": {"message": message, "type": type, "param": None, "code": code}}).encode()


GOOGLE = b'[{"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}}]'
DEPLETED = b"""{"error": {"code": 429, "message": "Your prepayment credits are depleted. Please go to AI Studio",
"status": "RESOURCE_EXHAUSTED"}}"""
TOO_LONG = [
    "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "Unable to submit request because the input token count is 1200000 but model only supports up to 1048576.",
    "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
    "litellm.ContextWindowExceededError: no",
    "the model is loaded with context length of only 4096 tokens, which is not enough",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "Requested tokens (5000) exceed context window of 2048",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
    "the input length exceeds the context length",
    "prompt: its length exceeds the maximum context size",
    "This prompt is larger than the 8,192 token context window",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
    "Prompt exceeds max length",
    "Prompt 超长",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens",
    "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
]
NOT_TOO_LONG = [
    "max_tokens must not be greater than the model's context length",
    "max_completion_tokens (200000) is greater than the maximum context size allowed for this output",
    "the number of images is greater than 16 within one context window",
    "stop sequence is longer than 16 tokens, context limits apply",
    "schema exceeds the limit: property names longer than 64; see the context size docs",
    "tools: maximum prompt length for tool description is 1024",
    "Field name exceeds maximum model length 64",
    "Input validation error: `stop` must have less than 4 tokens",
    "Input validation error: `seed` tokens + `top_k` must be <= 4096",
]
XAI = b"""{"code": "The caller does not have permission to execute the specified operation",
"error": "Content violates usage guidelines. Team: t, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO"}"""


@pytest.mark.parametrize(
    ("status", "data", "trigger"),
    [
        (429, body("Rate limit reached", "requests", "rate_limit_exceeded"), "rate_limited"),
        (429, body("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "quota"),
        (402, body("Insufficient Balance"), "quota"),
        (401, body("Incorrect API key provided", code="invalid_api_key"), "auth"),
        (401, body("no key; see billing"), "auth"),
        (403, body("no access to this model"), "auth"),
        (403, body("flagged by moderation"), "content_filter"),
        (400, body("too many", "invalid_request_error", "context_length_exceeded"), "context_overflow"),
        (400, body("This model's maximum context length is 8192 tokens."), "context_overflow"),
        (400, body("exceeds the available context size", "exceed_context_size_error", 400), "context_overflow"),
        *((400, body(text), "context_overflow") for text in TOO_LONG),
        *((400, body(text), "bad_request") for text in NOT_TOO_LONG),
        (413, b"too large", "context_overflow"),
        (400, body("bad", code="content_filter"), "content_filter"),
        (400, body("Output blocked by content filtering policy", "invalid_request_error"), "content_filter"),
        (400, body("triggered Azure OpenAI's content management policy"), "content_filter"),
        (400, body("the field `timeout` is unknown"), "bad_request"),
        (400, body("messages is required"), "bad_request"),
        (422, b'{"detail": "field required"}', "bad_request"),
        (307, b"", "bad_request"),
        (408, b"", "timeout"),
        (409, b"", "server_error"),
        (500, body("The server had an error"), "server_error"),
        (500, body("That model is currently overloaded"), "overloaded"),
        (500, body("Request timed out"), "timeout"),
        (502, b"<html>Bad Gateway</html>", "server_error"),
        (503, body("Loading model", "unavailable_error"), "overloaded"),
        (504, b"", "timeout"),
        (529, b"", "overloaded"),
        (429, GOOGLE, "rate_limited"),
        (429, DEPLETED, "quota"),
        (498, body("Flex tier capacity exceeded", "capacity_exceeded", "capacity_exceeded"), "overloaded"),
        (498, b"", "overloaded"),
        (500, b'{"error": "just a text"}', "server_error"),
        (400, body("Invalid schema for function 'update_billing_address': 'type' is required."), "bad_request"),
        (400, body("tools.0.custom.name: 'content_moderation' is duplicated"), "bad_request"),
        (500, body("Internal server error in billing-svc"), "server_error"),
        (500, b'{"error": "billing-svc"}', "server_error"),
        (429, body("Please check your billing details."), "quota"),
        (400, body("Billing hard limit has been reached", code="billing_hard_limit_reached"), "quota"),
        (400, body("context_length_exceeded: 9000 tokens"), "context_overflow"),
        (500, b'{"error": "rate_limit_exceeded"}', "rate_limited"),
        (429, body("You exceeded your current token quota: <o> 0", "exceeded_current_quota_error"), "quota"),
        (400, body("Access denied, make sure your account is in good standing.", "Arrearage", "Arrearage"), "quota"),
        (400, body("Budget has been exceeded! Current cost: 1.2", "budget_exceeded", "400"), "quota"),
        (400, body("thinking.budget_tokens exceeded", code="thinking_budget_exceeded"), "bad_request"),
        (429, body("concurrency budget exceeded", code="token_budget_exceeded"), "rate_limited"),
        (429, b'{"code": "x", "error": "Your team has reached its monthly spending limit."}', "quota"),
        (412, body("Account a is suspended, possibly due to reaching the monthly spending limit"), "quota"),
        (429, body("\u60a8\u7684\u4f59\u989d\u4e0d\u8db3", code="1113"), "quota"),
        (400, body("This organization has been disabled.", "invalid_request_error"), "auth"),
        (400, body("Your organization has been disabled due to billing problems"), "auth"),
        (400, body("Your organization has been disabled from using fine-tuned models"), "bad_request"),
        (403, XAI, "content_filter"),
        (400, body("Content Exists Risk", "invalid_request_error", "invalid_request_error"), "content_filter"),
        (400, body("Input data is not fine.", "data_inspection_failed", "data_inspection_failed"), "content_filter"),
        (400, body("<400> InternalError.Algo.DataInspectionFailed: no", code="DataInspectionFailed"), "content_filter"),
        (400, body("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301"), "content_filter"),
        (400, body("potentially unsafe or sensitive content in input", code="1301"), "content_filter"),
        (400, body("unsafe or sensitive content detection parameter is unknown"), "bad_request"),
        (400, body("litellm.ContentPolicyViolationError: no", code="400"), "content_filter"),
    ],
)  # fmt: skip
def test_an_error_response_becomes_the_trigger_it_stands_for(status, data, trigger):
    fault = CODEC.error(status, {}, data)
    assert (fault.trigger, fault.status, fault.sent) == (Trigger(trigger), status, "yes")


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (404, body("The model `x` does not exist or you do not have access to it.", code="model_not_found")),
        (404, body("The model `moderation-x` does not exist")),
        (404, body('The model "content_filter" does not exist')),
        (404, body("model: claude-3-sonnet-20240229", "not_found_error")),
        (404, body("models/gemini-1.0-pro is not found for API version v1beta, or is not supported.")),
        (404, body("Publisher Model `projects/p/models/x` was not found or your project does not have access to it.")),
        (404, body('model "x" not found, try pulling it first')),
        (404, b'{"code": "Some requested entity was not found", "error": "The model grok-9 does not exist"}'),
        (404, body("The API deployment for this resource does not exist.")),
        (404, body("no", code="DeploymentNotFound")),
        (404, body("No endpoints found for foo/bar.")),
        (404, b'{"message": "This model version has reached the end of its life. Please refer to the docs."}'),
        (404, b'{"message": "Could not resolve the foundation model from the provided model identifier."}'),
        (400, b'{"message": "The provided model identifier is invalid."}'),
        (400, body("The model `x` has been decommissioned and is no longer supported.", code="model_decommissioned")),
        (400, b'{"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"}'),
        (400, body("Model Not Exist", "invalid_request_error")),
        (400, body("foo/bar is not a valid model ID", code=400)),
        (400, body("/chat/completions: Invalid model name passed in model=x.")),
        (410, body("The model x is no longer available.")),
        (410, b'{"title": "Gone", "detail": "The model x/y has reached its end of life on 2025-01-01."}'),
        (404, body("Not found the model moonshot-v9 or Permission denied", "resource_not_found_error")),
        (404, b'{"message": "model \'command-r\' was removed on September 15, 2025"}'),
        (404, body("litellm.NotFoundError: OpenAIException - The model `x` does not exist", code="404")),
        (400, body("\u6a21\u578b\u4e0d\u5b58\u5728", code="1211")),
        (400, body("The requested model 'x' is not supported by any provider", code="model_not_supported")),
    ],
)  # fmt: skip
def test_a_model_that_is_not_there_is_refused_without_its_key(status, data):
    fault = CODEC.error(status, {}, data)
    assert (fault.trigger, fault.of_model) == (Trigger.auth, True)
    assert "check the model's `model`" in fault.text


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (404, b""),
        (404, b"<html>Not Found</html>"),
        (404, b'{"detail": "Not Found"}'),
        (404, body("No such File object: file-1")),
        (404, body("No endpoints found that support tool use. To learn more, see the docs")),
        (400, body("`temperature` is deprecated for this model.")),
        (400, body("Previous response with id 'r' not found.", code="previous_response_not_found")),
        (400, body("Tool 'model' not found in request.tools")),
        (400, body("this model does not support tools")),
        (400, body("`temperature` of this model is no longer supported")),
        (400, body("assistant prefill for this model is no longer supported")),
        (404, body("The file 'file-1' used with model gpt-4o not found")),
        (400, body("tools.0.input_schema: $ref #/$defs/Model not found")),
        (400, body("Unable to process input image: models/foo.png does not exist")),
        (400, body("The tool called by the model does not exist")),
        (400, body("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")),
    ],
)
def test_what_else_is_not_found_or_not_supported_is_the_requests_fault(status, data):
    fault = CODEC.error(status, {}, data)
    assert (fault.trigger, fault.of_model) == (Trigger.bad_request, False)


def test_what_an_error_calls_itself_stands_before_what_it_says_of_the_model():
    fault = CODEC.error(400, {}, body("The model is no longer served", code="content_filter"))
    assert (fault.trigger, fault.of_model) == (Trigger.content_filter, False)


def test_a_model_that_is_not_there_may_be_told_inside_a_stream():
    fault = stream_fault({"message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404})
    assert (fault.trigger, fault.of_model) == (Trigger.auth, True)


def test_what_openrouter_hands_on_counts_by_its_own_name():
    raw = '{"type": "error", "error": {"type": "overloaded_error", "message": "Try later"}}'
    data = json.dumps({"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": raw}}}).encode()
    assert CODEC.error(502, {}, data).trigger is Trigger.overloaded


def test_the_text_names_status_code_and_message():
    assert CODEC.error(400, {}, body("no such thing", code="nope")).text == "HTTP 400: nope: no such thing"
    assert CODEC.error(422, {}, b'{"detail": "field required"}').text == "HTTP 422: field required"
    assert CODEC.error(502, {}, b"\xffproxy").text == "HTTP 502: \ufffdproxy"
    assert CODEC.error(500, {}, b"").text == "HTTP 500: the body says nothing"


def test_a_wrong_model_or_address_says_where_to_look():
    assert "check the model's `model` and `base_url`" in CODEC.error(404, {}, b"").text
    assert "check `base_url`" in CODEC.error(301, {}, b"").text


def test_a_long_error_is_cut():
    text = CODEC.error(500, {}, b"x" * 100_000).text
    assert len(text) < 700
    assert text.endswith("…")


def test_the_wait_comes_from_the_headers_or_else_from_the_error_itself():
    delayed = b'{"error": {"message": "slow down", "details": [{"@type": "x"}, {"retryDelay": "37s"}]}}'
    assert CODEC.error(429, {"retry-after": "2"}, delayed).retry_after == 2
    assert CODEC.error(429, {}, delayed).retry_after == 37
    assert CODEC.error(429, {}, body()).retry_after is None


KEYS = st.sampled_from(["error", "message", "code", "type", "details", "retryDelay"])
STRANGE = st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)
)


@given(status=st.integers(300, 599), data=st.binary() | STRANGE.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None)
def test_no_body_makes_an_error_unreadable(status, data):
    fault = CODEC.error(status, {}, data)
    assert fault.status == status
    assert fault.text.startswith(f"HTTP {status}")
    fault.text.encode()
