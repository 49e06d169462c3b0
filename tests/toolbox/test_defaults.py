from orchestra.toolbox.defaults import defaults_optional, null_by_default


def inner(*required: str) -> dict[str, object]:
    properties = {"a": {"type": "integer", "default": 1}, "b": {"type": "integer"}, "c": True}
    return {"type": "object", "properties": properties | {"required": {"type": "string"}}, "required": list(required)}


def test_nothing_that_has_a_default_is_required_wherever_it_stands():
    given = {"$defs": {"Inner": inner("a", "b")}, "anyOf": [inner("a"), {"items": inner("b", "a")}]}
    assert defaults_optional(given) == {"$defs": {"Inner": inner("b")}, "anyOf": [inner(), {"items": inner("b")}]}


def test_what_is_required_without_a_default_stays_and_the_given_schema_is_left_as_it_was():
    given = inner("required", "a", "b", "c")
    assert defaults_optional(given) == inner("required", "b") | {"required": ["required", "b", "c"]}
    assert given["required"] == ["required", "a", "b", "c"]


def test_null_is_the_default_of_what_may_be_null_and_has_no_other_wherever_it_stands():
    one = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    given = {"anyOf": [{"properties": {"a": one, "b": {"type": "string"}, "c": one | {"default": 1}, "d": True}}]}
    found = {"a": one | {"default": None}, "b": {"type": "string"}, "c": one | {"default": 1}, "d": True}
    assert null_by_default(given) == {"anyOf": [{"properties": found}]}
    assert null_by_default({"properties": ["a"]}) == {"properties": ["a"]}
