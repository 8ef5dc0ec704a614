"""Options of the suite, and its fixtures where tests run: the process that only distributes them needs no TensorFlow."""

import collections


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="whole grids where the suite runs a share of their cases")


def pytest_configure(config):
    every = "every(n, first=0): the suite takes every n-th case of this test, --full takes all"
    twin = "twin: a case that tests marked `every` leave out, for another one has its class"
    for line in (every, twin):
        config.addinivalue_line("markers", line)
    distributes = config.getoption("numprocesses", 0) and not hasattr(config, "workerinput")
    if not distributes:
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_modifyitems(config, items):
    """Leaves cases of tests marked `every(n)` out; --full, -k and tests that are named ("file::test") take all."""
    if config.getoption("full") or config.option.keyword or any("::" in argument for argument in config.args):
        return
    left = left_out(items)
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def left_out(items) -> list:
    """Of a test marked `every(n, first)` all cases but those at `first`, `first` + n, … of those that are no twins."""
    counts, left = collections.Counter(), []
    for item in items:
        if marker := item.get_closest_marker("every"):
            n, first = (*marker.args, 0)[:2]
            test, twin = item.nodeid.partition("[")[0], item.get_closest_marker("twin") is not None
            if twin or counts[test] % n != first:
                left.append(item)
            counts[test] += not twin
    return left
