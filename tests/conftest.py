"""Options of the suite, and its fixtures where tests run: the process that only distributes them needs no TensorFlow."""


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="whole grids where the suite runs every pair of their sides")


def pytest_configure(config):
    distributes = config.getoption("numprocesses", 0) and not hasattr(config, "workerinput")
    if not distributes:
        config.pluginmanager.import_plugin("tests.fixtures")
