"""The demonstration: its data, and what it prints when it is run as a user runs it."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from command_line import run_gpuad
from gpuad import demo

FOLDER = Path(demo.__file__).parent


# --- the data ------------------------------------------------------------------------------------


def test_digits_are_the_data_set():
    images, labels = demo.load_digits()
    assert images.shape == (1797, 64)
    assert labels.shape == (1797,)
    assert images.dtype == labels.dtype == np.uint8
    assert images.max() == 16
    counts = np.bincount(labels).tolist()
    assert counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    checksum = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert checksum == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_digits_come_with_source_and_licence():
    text = (FOLDER / "DIGITS.md").read_text(encoding="utf-8")
    assert "archive.ics.uci.edu" in text
    assert "CC BY 4.0" in text
    assert (FOLDER / "digits.npz").stat().st_size <= 100_000


def test_split_keeps_every_image_once_and_every_digit_in_both_parts():
    from gpuad.demo import train

    _, labels = demo.load_digits()
    testing = train.for_testing(labels)
    assert testing.sum() == 364
    assert set(labels[testing]) == set(labels[~testing]) == set(range(10))
    np.testing.assert_array_equal(testing, train.for_testing(labels))


# --- the run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed():
    done = run_gpuad("--backend", "numpy")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return float(found[1].replace(",", ""))


def test_says_which_backend_and_why(printed):
    assert re.search(r"^backend +numpy on CPU; asked for by name$", printed, re.M)


def test_accuracy(printed):
    assert number(r"accuracy +([\d.]+) % of the test images", printed) >= 97


def test_gradient_check(printed):
    assert number(r"agrees with central differences .* error ([\d.e+-]+)", printed) <= 1e-6


def test_backward_is_twice_forward(printed):
    forward = number(r"forward +([\d,]+) in", printed)
    backward = number(r"backward +([\d,]+) in", printed)
    images, hidden = 1433, 128
    assert forward == images * (64 * hidden + hidden * 10)
    assert backward == 2 * forward
    assert "= 2 x forward" in printed


def test_training_needs_less_than_the_full_backward_pass(printed):
    forward = number(r"forward +([\d,]+) in", printed)
    training = number(r"training +([\d,]+) backward", printed)
    images, hidden = 1433, 128
    assert training == 2 * forward - images * 64 * hidden


def test_progress_is_plain_lines_without_a_terminal(printed):
    assert "\r" not in printed
    assert "\x1b" not in printed
    assert len(re.findall(r"^training +epoch", printed, re.M)) == 4


def test_output_is_ascii(printed):
    assert printed.isascii()


def test_same_seed_same_result():
    def learned(seed):
        text = run_gpuad("--backend", "numpy", "--epochs", "1", "--seed", seed).stdout
        return re.findall(r"^training +epoch.*|^accuracy.*|error .*", text, re.M)

    assert learned("3") == learned("3")
    assert learned("3") != learned("4")


def test_a_wrong_gradient_is_reported(monkeypatch, capsys):
    import gpuad
    from gpuad import cli
    from gpuad.demo import train

    def wrong(f, argnums=0):
        right = gpuad.value_and_grad(f, argnums=argnums)

        def call(*args):
            value, gradient = right(*args)
            if isinstance(gradient, dict):
                gradient = {**gradient, "b2": gradient["b2"] * 1.001}
            return value, gradient

        return call

    monkeypatch.setattr(train, "value_and_grad", wrong)
    assert cli.main(["--backend", "numpy", "--epochs", "1"]) == 1
    assert "DISAGREES WITH central differences" in capsys.readouterr().out
