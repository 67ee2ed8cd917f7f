"""Answer GradBench's messages, a line of JSON each, until standard input ends."""

import contextlib
import sys

from .protocol import serve

if __name__ == "__main__":
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # nothing but answers may get between them
        serve(sys.stdin, answers)
