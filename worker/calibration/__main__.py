"""Program: measure the memory of jobs on this machine, and write its own table for the workers.

    python -m worker.calibration [--full]

Started by `clipmill calibrate`. Makes small clips of drawn videos, one after the other, as a job
does, and fits the model to their peaks.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from config.machine import cpu_count
from config.settings import SettingsError, load_settings
from config.values import MIB
from tasks.errors import JobError
from tasks.kinds import KINDS
from worker.calibration.fitting import Peak, fitted, margin_of
from worker.calibration.site_trial import site_peaks
from worker.calibration.trial import Trial, made_sample, run_trial
from worker.calibration.trials import full_trials, quick_trials, sample
from worker.memory.table import FILE_NAME, Table, shipped_table
from worker.process.run import Stopped

Row = tuple[str, Peak]  # what was run, in a few words


def calibrated(trials: Sequence[Trial], folder: Path) -> tuple[Table, list[Row]]:
    """The table that fits the peaks of these trials, and the peaks. Raises a JobError."""
    rows = list(_measured(trials, folder))
    peaks = [peak for _, peak in rows]
    mib = {name: round(it, 3) for name, it in fitted(peaks, shipped_table().mib).items()}
    return Table(mib, margin_of(peaks, mib), _circumstances(len(peaks))), rows


def _measured(trials: Sequence[Trial], folder: Path) -> Iterator[Row]:
    distinct = list(dict.fromkeys(trials))
    for number, trial in enumerate(distinct, 1):
        seen = run_trial(trial, folder)
        say(f"{number}/{len(distinct) + 1}  {trial}: {seen.peak_bytes / MIB:.0f} MiB")
        for tool, terms in seen.steps.items():
            yield f"{tool}: {trial}", Peak(terms, seen.peaks[tool])
    say(f"{len(distinct) + 1}/{len(distinct) + 1}  yt-dlp")
    yield from (("yt-dlp", peak) for peak in site_peaks(made_sample(sample(360), folder), folder))


def _circumstances(count: int) -> dict[str, object]:
    """When and on which machine the table was measured."""
    return {
        "at": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{platform.machine()}, {cpu_count()} cores, {platform.system()}",
        "packages": {name: version(name) for name in ("imageio-ffmpeg", "av", "yt-dlp")},
        "peaks": count,
    }


def show(table: Table, rows: Sequence[Row]) -> None:
    """Each peak beside its estimate."""
    say("\nestimate  observed  ratio")
    for name, (terms, peak_bytes) in rows:
        estimate = table.bytes_of(terms)
        ratio = estimate / peak_bytes
        say(f"{estimate / MIB:8.0f}  {peak_bytes / MIB:8.0f}  {ratio:5.2f}  {name}")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure and write; the exit status."""
    parser = argparse.ArgumentParser(prog="clipmill calibrate")
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args(arguments).full
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        data_dir = load_settings(kinds=KINDS).data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="calibrate-", dir=data_dir) as name:
            table, rows = calibrated(full_trials() if full else quick_trials(), Path(name))
        show(table, rows)
        path = data_dir / FILE_NAME
        table.write(path)
    except (SettingsError, JobError, Stopped, OSError) as error:
        print(f"not calibrated: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"\nWritten to {path}; workers read it when they start.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
