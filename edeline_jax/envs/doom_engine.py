"""Starts ViZDoom's engine so that it cannot outlive the run: `python -I -S doom_engine.py PARENT ENGINE [ARGUMENTS]`.

The kernel kills it when the process PARENT is gone, however that ended. In a session of its own it does not hear Ctrl-C
in the run's terminal, so a run can save and end in order.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of linux/prctl.h; it stays over exec

if __name__ == "__main__":
    parent, engine, *arguments = sys.argv[1:]
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(parent):  # otherwise it has died in the meantime
        os.execv(engine, [engine, *arguments])
