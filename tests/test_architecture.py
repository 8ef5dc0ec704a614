"""Who may import whom (design: imports run downward only), and what the library never does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = [
    {"countdown", "errors", "files", "kernels", "questions", "stopwatch"},
    {"locks", "numerics", "slices", "seeds", "pictures", "spec", "fitting"},
    {"data", "networks", "contract"},
    {"flows"},
    {"distributions"},
    {"objectives"},
    {"models"},
    {"training", "evaluation", "export"},
    {"reporting"},
    {"workflows"},
    {"configurables"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MODULES = sorted((ROOT / "tfade").rglob("*.py"))
EVERYTHING = [*MODULES, *sorted((ROOT / "launch").rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module else set()
    return names


def part(module: str) -> str:
    """tfade.data.load → data"""
    return module.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward(path):
    own = path.relative_to(ROOT / "tfade").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no place in the layers"
    for name in imported(path):
        assert not name.startswith("launch"), name
        if name.startswith("tfade."):
            assert part(name) == own or RANK[part(name)] < RANK[own] or (own, part(name)) == ("training", "data"), name
    if own == "models":
        assert not any(name.startswith("tfade.data") for name in imported(path))
    if own == "evaluation":
        assert not any(name.startswith(("tfade.models", "tfade.training")) for name in imported(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_has_no_asserts_flags_environment_or_draws_with_hidden_state(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: users need a UsageError"
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "tf.random":
            assert node.attr.startswith(("stateless_", "fold_in", "split", "experimental")), f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in ("environ", "getenv", "getcwd") or path.stem == "kernels", f"line {node.lineno}"
    assert not any(name.startswith(("argparse", "absl.flags")) for name in imported(path))
    assert "skip_unknown=True" not in path.read_text(encoding="utf-8")


def without_encoding(tree: ast.AST) -> list[int]:
    """Lines that read or write text in the encoding of the locale."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
        after_path = node.args[not isinstance(function, ast.Attribute) :]
        modes = [part.value for part in after_path if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        modes += [k.value.value for k in node.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
        opened = name == "open" and owner not in ("os", "Image", "tarfile", "archive")
        text = isinstance(function, ast.Attribute) and owner != "files" and name in ("read_text", "write_text")
        piped = any(keyword.arg in ("text", "universal_newlines") for keyword in node.keywords)
        if (opened and not any("b" in mode for mode in modes)) or text or (piped and owner == "subprocess"):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_utf8_whatever_the_locale(path):
    assert not without_encoding(ast.parse(path.read_text(encoding="utf-8")))


def test_text_in_the_encoding_of_the_locale_would_be_found():
    text = "open('b')\nopen(x, 'rb')\nx.open()\nx.read_text()\nx.write_text('')\nfiles.write_text(x, '')\n"
    text += "open(x, 'w', encoding='utf-8')\nsubprocess.run(x, text=True)\nx.open('a+')\nopen(x, mode='wb')\n"
    assert without_encoding(ast.parse(text)) == [1, 3, 4, 5, 8, 9]


def test_a_violation_would_be_found(tmp_path):
    (tmp_path / "x.py").write_text("from tfade.models import base\nimport tfade.data.load\n")
    assert imported(tmp_path / "x.py") == {"tfade.models.base", "tfade.data.load"}
    assert RANK["models"] > RANK["data"]


def length(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        lines -= function.body[0].end_lineno - function.body[0].lineno + 1
    return lines


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_readable(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    assert not [f"{function.name}: {length(function)}" for function in functions if length(function) > 60]


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_of_tests_stay_readable(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def module_of(path: Path) -> str:
    """tfade/data/loading.py → tfade.data.loading; a package is its __init__.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def circles(graph: dict[str, set[str]]) -> list[str]:
    """A line for each module that can be reached from itself."""

    def reached(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            for name in graph[waiting.pop()] - seen:
                seen.add(name)
                waiting.append(name)
        return seen

    return [name for name in graph if name in reached(name)]


def test_imports_have_no_circle():
    """Those inside functions, too."""
    modules = {module_of(path): path for path in EVERYTHING}
    graph = {}
    for name, path in modules.items():
        named = {full if full in modules else full.rpartition(".")[0] for full in imported(path)}
        graph[name] = named & modules.keys() - {name}
    assert not circles(graph)
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
