"""Options of the suite, and its fixtures where tests run: the process that only distributes them needs no TensorFlow."""

import collections


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="all tests, where the suite runs a share of them")


def pytest_configure(config):
    every = "every(n, first=0): the suite takes every n-th case of this test, --full takes all"
    twin = "twin: a case that tests marked `every` leave out, for another one has its class"
    full = "full(reason): only with --full, for the suite holds the promise by a cheaper test, or takes minutes for it"
    for line in (every, twin, full):
        config.addinivalue_line("markers", line)
    distributes = config.getoption("numprocesses", 0) and not hasattr(config, "workerinput")
    if not distributes:
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_modifyitems(config, items):
    """Leaves cases of tests marked `every(n)` and tests marked `full` out; --full takes all.

    So do -k, unless it only says what not to run, and tests that are named ("file::test").
    """
    keyword = config.option.keyword.strip()
    chosen = keyword and not keyword.startswith("not ")
    if config.getoption("full") or chosen or any("::" in argument for argument in config.args):
        return
    left = left_out(items)
    config.hook.pytest_deselected(items=left)
    gone = set(left)
    items[:] = [item for item in items if item not in gone]


def left_out(items) -> list:
    """Those marked `full`; and of a test marked `every(n, first)` all cases but those at `first`, `first` + n, ….

    Of the latter, cases that are twins or marked `full` are not counted.
    """
    counts, left = collections.Counter(), []
    for item in items:
        marker, test = item.get_closest_marker("every"), item.nodeid.partition("[")[0]
        n, first = (*marker.args, 0)[:2] if marker else (1, 0)
        full = item.get_closest_marker("full") is not None
        twin = marker is not None and item.get_closest_marker("twin") is not None
        if full or twin:
            left.append(item)
            continue
        if counts[test] % n != first:
            left.append(item)
        counts[test] += 1
    return left
