"""What gpuad costs, beside what one would use instead: the suite behind ``gpuad bench``.

In the source tree it is ``bench.suite``, in an installed package ``gpuad.bench``; so its modules import each other
relatively. Read them in this order:

    workload.py, workloads/   what is measured, each program written once over ``np``
    adapters.py, peers.py     who computes it: gpuad, by hand, autograd, JAX, PyTorch
    agreement.py              nothing is timed before its result was found right
    timing.py, memory.py      seconds, in turns; bytes at the peak
    counting.py, machine.py   what a call does, and what the machine could do at best
    session.py                one run, from the choice of workloads to the file of results
    results.py, compare.py    the file; two of them side by side
    figures.py, report.py     pictures, and the page
    command.py                the command line
"""
