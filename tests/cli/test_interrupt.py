"""Control-C while the command is still loading: one word, no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

# who runs the tests may ignore interrupts, as shells do for what runs in the background, and children inherit that
SLOW = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
SLOW += "import time, graphmerge_command; import builtins; real = builtins.__import__\n"
# the import of the command line never ends, as if torch took its time
SLOW += (
    "def stuck(name, *rest):\n    if name == 'graphmerge.cli':\n        print('loading', flush=True); time.sleep(60)\n"
)
SLOW += "    return real(name, *rest)\nbuiltins.__import__ = stuck\ngraphmerge_command.main()\n"


def test_an_interrupt_while_it_loads() -> None:
    command = [sys.executable, "-c", SLOW]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "interrupted\n"
