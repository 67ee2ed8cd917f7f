"""Every goal, measured. One that isn't reached fails, and says by how much."""

import pytest

from bench import goals


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", list(goals.ALL))
def test_goal(name, capsys):
    results = goals.run(name)
    with capsys.disabled():
        for result in results:
            print(f"\n{result}")
    missed = [str(check) for result in results for check in result.checks if not check.ok]
    assert not missed, "\n".join(missed)
