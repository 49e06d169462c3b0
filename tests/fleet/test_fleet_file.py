"""fleet.toml → Fleet."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import FleetError
from orchestra.fleet import Fleet, ProviderLimits
from orchestra.types import Match, Price, StepRule, Timeouts

DESIGN = """
[models.small]
model = "qwen2.5-coder-0.5b-instruct"
provider = "local"
tier = "efficient"
price = { input = 0, output = 0 }

[models.haiku]
model = "claude-haiku-4-5"
provider = "anthropic"
tier = "efficient"

[models.strong]
model = "gpt-5-mini"

[models.mine]
model = "whatever-it-serves"
dialect = "openai-chat"
base_url = "http://127.0.0.1:8080/v1"
keys = ["env:MY_KEY"]
price = { input = 0.25, output = 1.25 }
window = 32_000
timeouts = { connect = 5, first_token = 20 }

[providers.anthropic]
keys = ["env:ANTHROPIC_API_KEY", "env:ANTHROPIC_API_KEY_2"]
requests_per_minute = 1000
tokens_per_minute = 400_000

[routing]
mode = "cost"
[[routing.steps]]
match = { kind = "plan" }
tier = "capable"
[[routing.steps]]
prefer = ["haiku", "small"]
escalate = ["capable", "frontier"]
mode = "quality"
max_tokens = 800
reasoning_effort = "low"
[routing.steps.match]
tools = ["rows"]
contains = "sum"
matches = "^s"
metadata = { team = "ops" }
tokens_over = 10
code = true
"""


def refused(text: str) -> str:
    with pytest.raises(FleetError) as caught:
        Fleet.from_toml(text)
    return str(caught.value)


def model(**facts: str) -> str:
    lines = "\n".join(f"{key} = {value}" for key, value in facts.items())
    return f'[models.a]\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"\n{lines}'


def test_a_card_holds_the_files_facts_on_top_of_the_built_in_ones():
    small = Fleet.from_toml(DESIGN).models["small"]
    assert (small.provider, small.dialect, small.window) == ("local", "openai-chat", 8192)
    assert small.price == Price(0.0, 0.0)
    assert small.capabilities.tools == "json"
    assert small.sources["price"] == "fleet.toml"
    assert small.sources["window"] == "built-in"


def test_a_known_provider_gives_dialect_and_base_url():
    haiku = Fleet.from_toml(DESIGN).models["haiku"]
    assert (haiku.dialect, haiku.base_url) == ("anthropic", "https://api.anthropic.com")
    assert haiku.keys == ("env:ANTHROPIC_API_KEY", "env:ANTHROPIC_API_KEY_2")


def test_a_built_in_model_needs_nothing_but_its_name():
    strong = Fleet.from_toml(DESIGN).models["strong"]
    assert (strong.provider, strong.tier, strong.keys) == ("openai", "capable", ("env:OPENAI_API_KEY",))
    assert Fleet.from_toml("[models.gpt-5]").models["gpt-5"].model == "gpt-5"


def test_no_price_is_invented():
    assert Fleet.from_toml(DESIGN).models["haiku"].price is None


@pytest.mark.parametrize(
    ("model", "patient"),
    [
        *(("gpt-5", True), ("gpt-5-nano", True), ("gemini-2.5-pro", True), ("gemini-2.5-flash", True)),
        *(("gemini-2.5-flash-lite", False), ("gpt-4.1", False), ("claude-opus-4-5", False)),
    ],
)
def test_models_that_think_unseen_are_waited_for(model, patient):
    timeouts = Fleet.from_toml(f"[models.'{model}']").models[model].timeouts
    assert timeouts == (Timeouts(first_token=120, chunk=120, total=600) if patient else Timeouts())
    own = Fleet.from_toml(f"[models.'{model}']\ntimeouts = {{ chunk = 5 }}").models[model].timeouts
    assert own == replace(timeouts, chunk=5)


def test_a_server_of_ones_own_needs_a_base_url_only_and_starts_in_the_lowest_tier():
    mine = Fleet.from_toml(DESIGN).models["mine"]
    assert (mine.provider, mine.tier, mine.sources["tier"]) == ("127.0.0.1:8080", "efficient", "default")
    assert mine.timeouts == Timeouts(connect=5.0, first_token=20.0, chunk=15.0, total=180.0)
    bare = Fleet.from_toml('[models.a]\nmodel = "x"\nbase_url = "http://localhost:1/"').models["a"]
    assert (bare.dialect, bare.base_url) == ("openai-chat", "http://localhost:1")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("/openai?api-version=2024-10-21", "/openai?api-version=2024-10-21"),
        ("/openai/deployments/d/?api-version=2024-10-21", "/openai/deployments/d?api-version=2024-10-21"),
        ("/openai/v1/?", "/openai/v1"),
    ],
)
def test_azures_api_version_may_stand_behind_a_base_url(written, read):
    azure = "https://x.openai.azure.com"
    fleet = Fleet.from_toml(f'[models.a]\nprovider = "azure"\nbase_url = "{azure}{written}"')
    assert fleet.models["a"].base_url == azure + read


def test_limits_of_a_provider_are_kept_as_facts():
    providers = Fleet.from_toml(DESIGN).providers
    assert providers["anthropic"] == ProviderLimits("anthropic", 1000, 400_000)
    assert providers["openai"] == ProviderLimits("openai")


def test_routing_rules_and_mode_are_read():
    fleet = Fleet.from_toml(DESIGN)
    assert fleet.mode == "cost"
    assert fleet.rules[0] == StepRule(Match(kind=("plan",)), tier="capable")
    match = Match(
        tools=("rows",), contains=("sum",), matches=("^s",), metadata={"team": "ops"}, tokens_over=10, code=True
    )
    rule = StepRule(match, None, ("haiku", "small"), ("capable", "frontier"), "quality", 800, "low")
    assert fleet.rules[1] == rule


def test_a_fleet_may_name_its_own_tiers():
    text = '[fleet]\ntiers = ["tiny", "huge"]\n[models.a]\nmodel = "gpt-5"\ntier = "huge"\n' + model().replace(
        "a]", "b]"
    )
    fleet = Fleet.from_toml(text)
    assert (fleet.rank("huge"), fleet.models["b"].tier) == (1, "tiny")
    assert "has tier 'frontier'; known: huge, tiny" in refused('[fleet]\ntiers = ["tiny", "huge"]\n[models.gpt-5]')
    assert "tiers must be different names" in refused('[fleet]\ntiers = ["a", "a"]\n[models.gpt-5]')
    assert "tiers must be different names" in refused("[fleet]\ntiers = []\n" + model())


def test_weights_of_ones_own_run_in_process_and_are_free():
    card = Fleet.from_toml('[models.a]\nmodel = "x"\nweights = "/m/x.gguf"').models["a"]
    assert (card.provider, card.weights, card.price) == ("local", "/m/x.gguf", Price(0.0, 0.0))
    assert card.capabilities.tools == "json"
    assert "local" in card.tags
    assert Fleet.from_toml(f'[models.a]\nweights = "{"AB" * 32}"').models["a"].weights == "ab" * 32
    assert "a sha256 has 64 hexadecimal digits, this has 40" in refused(f'[models.a]\nweights = "{"ab" * 20}"')
    assert "is local but has no weights" in refused('[models.a]\nmodel = "x"\nprovider = "local"')


def test_an_embedded_model_on_another_server_is_neither_free_nor_local():
    text = '[models.a]\nmodel = "qwen2.5-coder-0.5b-instruct"\nbase_url = "https://host/v1"\n'
    card = Fleet.from_toml(text).models["a"]
    assert (card.price, card.tags, card.weights, card.speed) == (None, (), None, None)
    assert card.capabilities.tools == "json"
    assert "price" not in card.sources


def test_the_usual_key_goes_only_to_the_providers_own_address():
    proxied = 'provider = "openai"\nbase_url = "https://proxy.example/v1"\n'
    assert Fleet.from_toml(f"[models.gpt-5]\n{proxied}").models["gpt-5"].keys == ()
    assert Fleet.from_toml(f'[models.gpt-5]\n{proxied}keys = "env:K"').models["gpt-5"].keys == ("env:K",)


def test_a_provider_table_may_hold_address_dialect_and_keys():
    text = (
        '[models.a]\nmodel = "x"\nprovider = "acme"\n[providers.acme]\nbase_url = "https://acme/v1"\nkeys = ["env:A"]\n'
    )
    card = Fleet.from_toml(text + 'dialect = "anthropic"').models["a"]
    assert (card.dialect, card.base_url, card.keys) == ("anthropic", "https://acme/v1", ("env:A",))


def test_every_fact_of_a_model_can_be_said():
    card = Fleet.from_toml(
        model(
            tags='"hipaa"', regions='["eu", "us"]', version='"2026-01"', deprecated="2027-01-31", quality="0.8",
            speed="10", prompt_speed="100.5", max_output="99", capabilities="{ images = true, tools = 'none' }",
        )
    ).models["a"]  # fmt: skip
    assert (card.tags, card.regions, card.version, card.deprecated) == (
        ("hipaa",),
        ("eu", "us"),
        "2026-01",
        "2027-01-31",
    )
    assert (card.quality, card.speed, card.prompt_speed, card.max_output) == (0.8, 10.0, 100.5, 99)
    assert (card.capabilities.images, card.capabilities.tools, card.capabilities.streaming) == (True, "none", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "fleet.toml: no models; add a table such as [models.small]"),
        ("[models", "fleet.toml: not TOML: "),
        ('[models.a]\nprovider = "antropic"', "model 'a' names provider 'antropic'; known: anthropic,"),
        ('[models.a]\nprovider = "antropic"', "did you mean 'anthropic'?"),
        ('[models.a]\nmodel = "claude-haiku-45"', "did you mean 'claude-haiku-4-5'?"),
        ("[models.a]\nmodl = 3", "models.a has an unknown key 'modl'; known: base_url,"),
        ("[models.a]\nmodl = 3", "did you mean 'model'?"),
        ("[modls.a]", "unknown key 'modls'; known: budgets, fleet, models, network, providers, routing; did you mean"),
        ("[models.a]\nprice = { input = 1 }", "models.a.price.output is missing"),
        ("[models.a]\nprice = { input = -1, output = 1 }", "models.a.price.input is -1: input should be greater"),
        ("[models.a]\nprice = { input = nan, output = 1 }", "models.a.price.input is nan: "),
        ("[models.a]\nprice = { input = 1, output = 1, cached = 1 }", "cache_write, cached_input, input, output"),
        ("[models.a]\nprice = 3", "models.a.price is 3: "),
        ("[models.a]\nwindow = []", "models.a.window is a list: "),
        ("[models.a]\nwindow = { a = 1 }", "models.a.window is a table: "),
        ("[models.a]\nwindow = 1.5", "models.a.window is 1.5: "),
        ("[models.a]\ntimeouts = { conect = 1 }", "models.a.timeouts has an unknown key 'conect'"),
        ("[models.a]\ntimeouts = { total = 0 }", "models.a.timeouts.total is 0: "),
        ("[models.a]\nquality = 2", "models.a.quality is 2: "),
        ("[models.a]\ndeprecated = 'soon'", "models.a.deprecated is 'soon': "),
        ("[models.a]\ndeprecated = '2026-13-45'", "models.a.deprecated is '2026-13-45', which is no day; write it as"),
        ("[models.'']\nmodel = 'gpt-5'", "models..[key] is ''; give the model a name"),
        ("[models.' ']\nmodel = 'gpt-5'", "models. .[key] is ' '; give the model a name"),
        ("[models.m]\nmodel = ' '", "models.m.model is ' '; give the model a name"),
        (
            model() + "\n[[routing.steps]]\nmatch = { tools = [] }",
            "routing.steps.0.match.tools is an empty list; leave it out, or name at least one",
        ),
        (model() + "\n[[routing.steps]]\nescalate = []", "routing.steps.0.escalate is an empty list; leave it out"),
        ("[models.a]\ncapabilities = { tools = 'jsn' }", "is 'jsn'; known: json, native, none; did you mean 'json'?"),
        ("[models.a]\nbase_url = 'localhost:80'", 'models.a.base_url must be a URL such as "http://127.0.0.1:8080/v1"'),
        ("[models.a]\nbase_url = 'http://h:port'", "models.a.base_url must be a URL"),
        ("[models.a]\nbase_url = ' http://h/v1'", "models.a.base_url must be a URL"),
        ("[models.a]\nbase_url = 'http://h/v1 '", "models.a.base_url must be a URL"),
        ("[models.a]\nbase_url = 'http://u:pw@h/v1'", "must hold no user, password, query or fragment"),
        ("[models.a]\nbase_url = 'http://h/v1?key=1'", "must hold no user, password, query or fragment"),
        ("[models.a]\nbase_url = 'http://h/v1?api-version=1&key=1'", "must hold no user, password, query or fragment"),
        (model(dialect='"openai-chatt"'), "model 'a' names the unknown dialect 'openai-chatt'; known: anthropic,"),
        (model(tier='"capible"'), "model 'a' has tier 'capible'; known: capable, efficient, frontier; did you mean"),
        (model() + "\n[providers.opnai]", "no model has provider 'opnai'; known: 127.0.0.1:1, anthropic"),
        (model() + "\n[providers.openai]\nrequests_per_minute = 0", "providers.openai.requests_per_minute is 0"),
        (model() + "\n[routing]\nmode = 'cst'", "routing.mode is 'cst'; known: balanced, cost, latency, quality; did"),
        (model() + "\n[[routing.steps]]\nmatch = { knd = 1 }", "routing.steps.0.match has an unknown key 'knd'"),
        (model() + "\n[[routing.steps]]\nmatch = { matches = '(' }", "routing.steps.0.match.matches.0 is no regular"),
        (model() + "\n[[routing.steps]]\ntier = 'hugh'", "routing rule 1 names tier 'hugh'; known: capable, efficient"),
        (model() + "\n[[routing.steps]]\nprefer = 'b'", "routing rule 1 prefers model 'b'; known: a"),
        (model() + "\n[[routing.steps]]\nescalate = ['frontire']", "did you mean 'frontier'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_what_is_known(text: str, said: str):
    assert said in refused(text)


@pytest.mark.parametrize(
    "place",
    [
        "keys = [{!r}]", "keys = {!r}", "keys = ['env:{}']", "keys = ['${{{}}}']", "api_key = {!r}", "base_url = {!r}",
        "timeouts = {!r}", "price = {{ input = {!r} }}", "window = {!r}", "capabilities = {{ tools = {!r} }}",
        "deprecated = {!r}",
    ],
)  # fmt: skip
def test_a_literal_key_is_refused_and_never_repeated(place: str):
    key = "sk-ant-api03-Zm9vYmFyYmF6cXV4"
    with pytest.raises(FleetError) as caught:
        Fleet.from_toml("[models.gpt-5]\n" + place.format(key))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # pydantic's exception would quote the input
    assert key not in str(caught.value)
    assert "gpt-5" in str(caught.value)


def test_the_error_names_the_file_and_every_fault():
    with pytest.raises(FleetError) as caught:
        Fleet.from_toml("[models.a]\nwindow = 0\nspeed = -1", source="conf/ours.toml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("conf/ours.toml: models.a.") for line in lines)


def test_names_need_not_be_ascii_and_a_byte_order_mark_is_no_fault():
    text = '\ufeff[models."größtes 模型"]\nmodel = "gpt-5"\n[[routing.steps]]\nprefer = "größtes 模型"'
    assert list(Fleet.from_toml(text).models) == ["größtes 模型"]


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_fleet_or_a_fleet_error(text: str):
    with pytest.raises(FleetError):
        Fleet.from_toml("nothing = 1\n" + text)
