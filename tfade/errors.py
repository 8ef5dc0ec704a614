"""The errors that a user can mend: what was wrong, what was received, and what would be right."""


class UsageError(ValueError):
    """An argument, a configuration or an input file is wrong. Launchers print its one line and exit with status 2."""


class NonFiniteError(ArithmeticError):
    """Training met a loss or a gradient that is not a finite number."""
