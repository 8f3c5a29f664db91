"""The only way out: a proxy that judges each address where it connects, and counts per job."""
