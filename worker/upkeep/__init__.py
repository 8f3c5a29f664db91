"""Work of a worker before and beside its jobs: cleanup, recovery, retention, reports, watchdog."""
