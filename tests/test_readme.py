"""The Python examples of the README run, in the order they stand, each with those before it."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


@pytest.mark.skipif(not README.is_file(), reason="not run from a source tree")
def test_examples_run_and_give_what_they_say(capsys):
    text = README.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks, "the README has no Python examples any more"
    namespace = {"__name__": "readme"}
    expected, printed = [], []
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        source = "\n" * line + block[1]  # so that an error shows the README's own line number
        exec(compile(source, str(README), "exec"), namespace)
        printed += capsys.readouterr().out.splitlines()
        # What a print gives stands behind it as a comment.
        expected += re.findall(r"^print\(.*\) +# (.*)$", block[1], re.M)
    assert printed == expected
