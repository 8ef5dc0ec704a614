"""The configuration that a run records: bindings alone, so that opening a stranger's run executes no code of theirs."""

import importlib
import tokenize
from collections.abc import Sequence
from pathlib import Path

from gin import config as gin_config
from gin import config_parser

from tfade.errors import UsageError, one_line
from tfade.training import configuration

FORMAT = 3  # of config.gin; raise it when a run of before can no longer be rebuilt
_HEADER, _IMPORTS = "# tfade run, format ", "# imports: "


def recorded() -> str:
    """What config.gin says: all that gin has bound and used, and in comments its format and the modules it imported."""
    lines = configuration.text().splitlines()
    bindings = [line for line in lines if not line.startswith(("import ", "from "))]
    modules = sorted({statement.module for statement in gin_config._IMPORTS})
    header = [f"{_HEADER}{FORMAT}", *([f"{_IMPORTS}{', '.join(modules)}"] if modules else [])]
    return "\n".join([*header, *bindings]).rstrip() + "\n"


def read(path: Path) -> str:
    """The text of a run's config.gin.

    Raises:
        UsageError: it cannot be read, has another format, or holds statements that import or include something: what
            tfade records has none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({type(error).__name__}: {error})") from error
    first = text.partition("\n")[0]
    found = first.removeprefix(_HEADER) if first.startswith(_HEADER) else "1"
    if found != str(FORMAT):
        raise UsageError(
            f"run_dir={str(path.parent)!r} has format {found}, this version of tfade reads format {FORMAT}; train in a "
            "new run_dir, or use the version that wrote it"
        )
    _require_bindings_alone(path, text)
    return text


def parse(path: Path, files: Sequence[str | Path], bindings: Sequence[str], root, trust_imports: bool) -> None:
    """Parses a run's config.gin, then files and bindings that override it, into the current configuration.

    Args:
        path: of config.gin.
        files, bindings, root: see `configuration.parse`.
        trust_imports: import the modules that the run imported when it was trained. Otherwise it may only name classes
            of tfade and those that are registered already.

    Raises:
        UsageError: see `read`; a module that cannot be imported; and as `configuration.parse`.
    """
    modules = _modules(read(path))
    if trust_imports:
        for module in modules:
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise UsageError(f"{path} needs the module {module!r}, which cannot be imported: {error}") from error
    try:
        configuration.parse([path, *files], bindings, root)
    except UsageError as error:
        if modules and not trust_imports and "configurable" in str(error):
            raise UsageError(
                f"{error}; the run was trained with {', '.join(modules)}: import it first, or state that you trust "
                "its code by --trust_imports (load_run(…, trust_imports=True))"
            ) from error
        raise


def _modules(text: str) -> list[str]:
    lines = [line.removeprefix(_IMPORTS) for line in text.splitlines() if line.startswith(_IMPORTS)]
    return [module.strip() for line in lines for module in line.split(",")]


class _Names(config_parser.ParserDelegate):
    """Reads references and macros without looking them up."""

    def configurable_reference(self, scoped_configurable_name, evaluate):
        return scoped_configurable_name

    def macro(self, scoped_name):
        return scoped_name


def _require_bindings_alone(path: Path, text: str) -> None:
    try:
        statements = list(config_parser.ConfigParser(text, _Names()))
    except (SyntaxError, tokenize.TokenError) as error:
        raise UsageError(f"{path} is damaged ({one_line(error)}); restore it, or train again") from error
    for statement in statements:
        if isinstance(statement, (config_parser.ImportStatement, config_parser.IncludeStatement)):
            raise UsageError(
                f"{path} imports or includes something, which no run of tfade does: opening it could execute "
                "code; remove the line if you trust it"
            )
