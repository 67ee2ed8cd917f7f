"""The pages of docs/ name what there is."""

import importlib.util
import re
from pathlib import Path

import pytest

import gpuad

DOCS = Path(__file__).resolve().parent.parent / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="not run from a source tree")


def test_the_reference_has_every_name():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    found = re.findall(r"^\.\. auto(?:function|class):: (.+)$", page, re.M)
    assert len(found) == len(set(found))
    sparse = {"Sparsity", "hessian_sparsity", "jacobian_sparsity"}  # which import SciPy
    assert {name for name in found if "." not in name} == set(gpuad.__all__) | sparse


def test_the_list_of_functions_is_complete():
    pytest.importorskip("scipy")
    spec = importlib.util.spec_from_file_location("list_functions", DOCS / "list_functions.py")
    list_functions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(list_functions)
    list_functions.import_everything()

    page = (DOCS / "functions.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\S+)\n\n(.*?)\n(?=\n|\Z)", page, re.M | re.S))
    listed = {name: list_functions.numpys(name) for name in list_functions.NUMPYS}
    listed |= {name: list_functions.scipys(name) for name in list_functions.SCIPYS}
    assert set(sections) == {*listed, "numpy.random"}
    for namespace, names in listed.items():
        there = set(re.findall(r"`(.+?)`", sections[namespace]))
        assert names and set(names) <= there, f"{namespace}: run docs/list_functions.py"
        # An older version may lack some.
        assert not (there - set(names)) & set(dir(list_functions.theirs(namespace))), f"{namespace}: likewise"
