"""Options of the suite, and its fixtures where tests run: the process that only distributes them needs no TensorFlow."""

import collections
import zlib


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="whole grids where the suite runs a share of their cases")


def pytest_configure(config):
    config.addinivalue_line("markers", "every(n): the suite takes every n-th case of this test, --full takes all")
    distributes = config.getoption("numprocesses", 0) and not hasattr(config, "workerinput")
    if not distributes:
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_modifyitems(config, items):
    """Leaves cases of tests marked `every(n)` out, other ones in each test; --full, and tests that are named, take all."""
    if config.getoption("full") or any("::" in argument for argument in config.args):
        return
    counts, left = collections.Counter(), set()
    for item in items:
        if marker := item.get_closest_marker("every"):
            (n,), test = marker.args, item.nodeid.partition("[")[0]
            if (digit_sum(counts[test], n) + zlib.crc32(test.encode())) % n:
                left.add(item)
            counts[test] += 1
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]


def digit_sum(number: int, base: int) -> int:
    """Modulo the base it takes every value as often, in the rows and in the columns of a grid, too."""
    return number and number % base + digit_sum(number // base, base)
