"""A folder that one process at a time writes into."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distill_perception.folder_lock import locked_folder

HOLD = """
import multiprocessing, pathlib, subprocess, sys, time
from distill_perception.folder_lock import locked_folder
with locked_folder(pathlib.Path(sys.argv[1]), RuntimeError):
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=[60])
    forked.start()
    started = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    print(forked.pid, started.pid, flush=True)
    time.sleep(60)
"""


def enter(folder: Path) -> None:
    with locked_folder(folder, lambda who: RuntimeError(f"taken{who}")):
        pass


def test_a_second_one_is_kept_out_and_told_who_is_there(tmp_path: Path) -> None:
    with locked_folder(tmp_path, RuntimeError), pytest.raises(RuntimeError) as refused:
        enter(tmp_path)
    assert str(refused.value) == f"taken (pid {os.getpid()})"
    enter(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_it_free_though_its_children_live_on(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        children = [int(word) for word in holder.stdout.readline().split()]
        try:
            with pytest.raises(RuntimeError, match=rf"taken \(pid {holder.pid}\)"):
                enter(tmp_path)
            holder.kill()
            holder.wait()
            for child in children:
                os.kill(child, 0)
            enter(tmp_path)
        finally:
            holder.kill()
            for child in children:
                os.kill(child, signal.SIGKILL)
