"""Which cases of a large grid the suite takes."""

from types import SimpleNamespace

import pytest

from tests.conftest import left_out


def items(test: str, count: int, *arguments) -> list:
    marker = SimpleNamespace(args=arguments)
    return [
        SimpleNamespace(
            nodeid=f"{test}[{index}]", get_closest_marker=lambda name: marker if arguments and name == "every" else None
        )
        for index in range(count)
    ]


@pytest.mark.parametrize(
    ("arguments", "taken"), [((), [0, 1, 2, 3, 4]), ((2,), [0, 2, 4]), ((2, 1), [1, 3]), ((3, 2), [2])]
)
def test_of_a_marked_test_every_nth_case_is_taken(arguments, taken):
    marked, other = items("a.py::test", 5, *arguments), items("b.py::test", 5, 5)
    left = left_out([item for pair in zip(marked, other) for item in pair])
    assert [item.nodeid for item in marked if item not in left] == [f"a.py::test[{index}]" for index in taken]
    assert [item.nodeid for item in other if item not in left] == ["b.py::test[0]"]


def test_what_is_marked_full_is_left_out_and_takes_no_turn():
    every, full = SimpleNamespace(args=(2,)), SimpleNamespace(args=("long",))
    alone = SimpleNamespace(nodeid="b.py::test", get_closest_marker={"full": full}.get)
    found = [
        SimpleNamespace(
            nodeid=f"a.py::test[{index}]",
            get_closest_marker={"every": every, "full": full if index == 2 else None}.get,
        )
        for index in range(6)
    ]
    assert [item.nodeid[-2] for item in found if item not in left_out(found)] == ["0", "3", "5"]
    assert left_out([alone]) == [alone]


def test_a_twin_is_left_out_and_takes_no_turn():
    case = SimpleNamespace(args=(2,))
    found = [
        SimpleNamespace(
            nodeid=f"a.py::test[{index}]",
            get_closest_marker={"every": case, "twin": case if index in (1, 2) else None}.get,
        )
        for index in range(6)
    ]
    assert [item.nodeid[-2] for item in found if item not in left_out(found)] == ["0", "4"]
