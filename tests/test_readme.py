"""The Python examples of the README and of docs/ run, in the order they stand, each after those before it there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(page for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")) if page.is_file())
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


@pytest.mark.skipif(not PAGES, reason="not run from a source tree")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run_and_give_what_they_say(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where an example may write files
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    if page.stem == "README":
        assert blocks, "the README has no Python examples any more"
    namespace = {"__name__": "example"}
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        source = "\n" * line + block[1]  # so that an error shows the page's own line number
        exec(compile(source, str(page), "exec"), namespace)
        printed = capsys.readouterr().out.splitlines()
        # What a print gives stands behind it as a comment; what the only other one gives is tested by test_cost_lines.
        expected = re.findall(r"^print\(.*\) +# (.*)$", block[1], re.M)
        if page.stem != "textbook":
            assert printed == expected
