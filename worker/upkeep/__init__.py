"""What a worker does before and beside its jobs: cleanup, lost work, retention, reports, health."""
