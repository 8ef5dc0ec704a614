"""Options of the suite, and its fixtures where tests run: the process that only distributes them needs no TensorFlow."""

import collections


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="whole grids where the suite runs a share of their cases")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "every(n, first=0): the suite takes every n-th case of this test, --full takes all"
    )
    distributes = config.getoption("numprocesses", 0) and not hasattr(config, "workerinput")
    if not distributes:
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_modifyitems(config, items):
    """Leaves most cases of tests marked `every(n)` out; --full, and tests that are asked for by name, take all."""
    if config.getoption("full") or config.option.keyword or any("::" in argument for argument in config.args):
        return
    left = left_out(items)
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def left_out(items) -> list:
    """Of a test marked `every(n, first)` all cases but those at `first`, `first` + n, …"""
    counts, left = collections.Counter(), []
    for item in items:
        if marker := item.get_closest_marker("every"):
            n, first = (*marker.args, 0)[:2]
            test = item.nodeid.partition("[")[0]
            if counts[test] % n != first:
                left.append(item)
            counts[test] += 1
    return left
