"""The import rules of the package, read from the source, and what a command may cost before it does anything."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "lowlight_cli"
TALKERS = {"typer", "rich", "flask", "wandb"}
OUTER = {
    "lowlight_cli.commands",
    "lowlight_cli.console",
    "lowlight_cli.views",
    "lowlight_cli.signals",
    "lowlight_cli.tracking",
    "lowlight_cli.app",
    "lowlight_cli.web",
}
HEAVY = {"torch", "torchvision", "numpy", "PIL", "lowlight_cli.core"}
FORBIDDEN = {
    "core": TALKERS | OUTER,
    "config.py": {"torch", "torchvision", "numpy", "PIL", "lowlight_cli.core", "lowlight_cli.settings"}
    | TALKERS
    | OUTER,
    "settings.py": {"torch", "torchvision", "numpy", "PIL", "lowlight_cli.core"} | TALKERS | OUTER,
    "views": {"typer", "flask", "wandb"} | OUTER - {"lowlight_cli.views", "lowlight_cli.console"},
    "web": TALKERS - {"flask"} | OUTER - {"lowlight_cli.web"},
}
LADDER = [
    {"errors"},
    {"files", "device"},
    {"pictures"},
    {"metrics"},
    {"networks"},
    {"tiling", "checkpoints"},
    {"data"},
    {"enhancing", "training"},
    {"evaluating"},
]
"""The parts of the core. Each may import those of the steps before its own, but for EXCEPTIONS."""
EXCEPTIONS = {"evaluating": {"training"}}
FORBIDDEN["core/networks"] = {"lowlight_cli.settings"}


def imports(path: Path) -> set[str]:
    package = ("lowlight_cli", *path.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize(("part", "banned"), FORBIDDEN.items(), ids=FORBIDDEN)
def test_layers_import_downwards_only(part: str, banned: set[str]) -> None:
    place = ROOT / part
    files = [place] if place.is_file() else list(place.rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            assert not any(name == bad or name.startswith(bad + ".") for bad in banned), f"{path.name} imports {name}"


def test_the_ladder_holds_every_part_of_the_core() -> None:
    parts = {
        path.stem for path in (ROOT / "core").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert set().union(*LADDER) == parts - {"__init__"}


@pytest.mark.parametrize("part", sorted(set().union(*LADDER)))
def test_the_core_imports_down_its_ladder(part: str) -> None:
    step = next(step for step, parts in enumerate(LADDER) if part in parts)
    allowed = set().union({part}, *LADDER[:step]) - EXCEPTIONS.get(part, set())
    place = ROOT / "core" / part
    for path in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
        seen = {name.split(".")[2] for name in imports(path) if name.startswith("lowlight_cli.core.")}
        assert seen <= allowed, f"{path.relative_to(ROOT)} imports {', '.join(sorted(seen - allowed))}"


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, lowlight_cli.app; "
        "sys.exit(str({'torch', 'torchvision', 'numpy', 'PIL', 'wandb', 'flask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


def test_torch_and_torchvision_are_of_one_build() -> None:
    """Mixed builds die at this import with ``operator torchvision::nms does not exist``."""
    code = "import torch, torchvision; torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
