"""What a worker does beside its jobs: finding lost work, retention, reports, the watchdog."""
