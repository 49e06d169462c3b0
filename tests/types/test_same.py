from orchestra.types.same import Same


def test_the_very_same_objects_are_one_key_and_equal_ones_are_not() -> None:
    first, second = {"type": "object"}, {"type": "object"}
    assert Same([first]) == Same((first,))
    assert hash(Same([first])) == hash(Same((first,)))
    assert Same([first]) != Same([second])
    assert Same([first, second]) != Same([second, first])


def test_a_key_holds_its_objects() -> None:
    one: dict[str, str] = {}
    assert Same(each for each in [one]).held == (one,)
    assert Same([one]).held[0] is one
