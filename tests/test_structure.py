"""The house rules that no linter knows: who may import whom, one place for CuPy, files of a readable length."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "gpuad"
FILES = sorted(p for p in ROOT.rglob("*.py"))

#: In the order in which data flows. A module imports from its own layer and the ones above.
LAYERS = [
    ["errors", "flag", "core.pytree", "cache_folder", "kernel_sources"],
    ["backend"],
    ["fused"],
    ["core"],
    ["ops"],
    ["numpy"],
    ["array_methods", "array_api", "cupy_hooks"],
    ["native"],
    ["graph"],
    ["transforms"],
    ["values", "custom_calls", "custom", "custom_rules", "checkpointing", "implicit", "lifting"],
    ["information", "util", "wrap_util"],
    ["autograd_names"],
    ["extend", "builtins", "tracer", "differential_operators", "misc"],
    ["numpy.numpy_boxes", "numpy.numpy_vjps", "numpy.numpy_vspaces", "numpy.numpy_wrapper"],
    ["scipy"],
    ["test_util"],
    [""],  # gpuad/__init__.py
    ["demo", "cli", "__main__"],
]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> int:
    """The layer of ``module``, by the longest prefix that has one."""
    for length in range(module.count(".") + 1, -1, -1):
        prefix = ".".join(module.split(".")[:length])
        for i, layer in enumerate(LAYERS):
            if prefix in layer:
                return i
    raise AssertionError(f"gpuad/{module.replace('.', '/')}.py is in no layer: see tests/test_structure.py")


def imports(path: Path):
    """The modules of gpuad that a file imports while it is being imported itself."""
    module = name_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text())
    lazy = {
        node
        for top in ast.walk(tree)
        if isinstance(top, (ast.FunctionDef, ast.AsyncFunctionDef))
        or (isinstance(top, ast.If) and "TYPE_CHECKING" in ast.dump(top.test))
        for node in ast.walk(top)
    }
    for node in ast.walk(tree):
        if node in lazy or not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = package.split(".") if package else []
            base = base[: len(base) - (node.level - 1)]
            start = ".".join([*base, *([node.module] if node.module else [])])
        elif node.module == "gpuad" or (node.module or "").startswith("gpuad."):
            start = node.module[len("gpuad.") :]
        else:
            continue
        for alias in node.names:
            inner = f"{start}.{alias.name}".strip(".")
            folder = ROOT.joinpath(*inner.split("."))
            yield inner if folder.with_suffix(".py").exists() or folder.is_dir() else start


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_upwards(path):
    here = layer_of(name_of(path))
    for module in imports(path):
        assert layer_of(module) <= here, f"{name_of(path)} imports {module}, which stands further down"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_private_names_stay_at_home(path):
    """A name with an underscore is its module's own: neither imported from it nor looked up in it by others."""
    modules = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            taken = [alias.name for alias in node.names if alias.name.startswith("_") and alias.name[:2] != "__"]
            assert not taken, f"{name_of(path)} imports {taken} from {node.module}"
            modules |= {alias.asname or alias.name: node.lineno for alias in node.names if alias.name.islower()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert not private, f"{name_of(path)} reads {node.value.id}.{node.attr}"


def test_no_module_imports_in_a_circle():
    graph = {name_of(p): set(imports(p)) - {name_of(p)} for p in FILES}
    state: dict[str, int] = {}

    def visit(module, trail):
        if state.get(module) == 2:
            return
        assert state.get(module) != 1, " -> ".join([*trail, module])
        state[module] = 1
        for other in graph.get(module, ()):
            visit(other, [*trail, module])
        state[module] = 2

    for module in graph:
        visit(module, [])


def test_cupy_is_imported_in_one_place_and_only_when_needed():
    places = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            if any(n.split(".")[0] in ("cupy", "cupyx") for n in names):
                places.append(name_of(path))
    assert set(places) == {"backend.cupy_backend"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_can_be_held_in_a_head(path):
    assert len(path.read_text().splitlines()) <= 520, "split it by meaning"


def test_the_reading_order_names_every_module():
    text = (ROOT / "README.md").read_text()
    missing = [str(p.relative_to(ROOT)) for p in FILES if p.name != "__init__.py" and p.name not in text]
    assert not missing, f"gpuad/README.md doesn't say what these are for: {missing}"
