"""Answer GradBench's messages, a line of JSON each, until standard input ends."""

import contextlib
import os
import sys

from .protocol import serve

if __name__ == "__main__":
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # what no message can be is answered, too
    answers = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # nothing but answers may get between them
            serve(sys.stdin, answers)
    except BrokenPipeError:  # nobody reads the answers any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
        sys.exit(141)
