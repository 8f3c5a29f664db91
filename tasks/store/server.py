"""The server of the records: whether it answers, its clock, locks, and what it may lose."""

from __future__ import annotations

from tasks.store.connection import StorePart, translated
from tasks.store.keys import key


class Server(StorePart):
    """The server itself."""

    def ping(self) -> None:
        """Raises StoreUnavailable when the store does not answer."""
        with translated():
            self._redis.ping()

    def now(self) -> float:
        """The time of the store's clock, in seconds since 1970."""
        with translated():
            seconds, microseconds = self._redis.time()
        return float(seconds) + float(microseconds) / 1e6

    def lock(self, name: str, holder: str, seconds: float) -> bool:
        """Acquire or renew a lock that expires; False while another holder has it."""
        return bool(self._run("lock", [key("lock", name)], holder, int(seconds * 1000)))

    def durability_faults(self) -> list[str]:
        """The faults of the server's configuration that may lose jobs. Raises StoreUnavailable."""
        with translated():
            persistence, memory = self._redis.info("persistence"), self._redis.info("memory")
        faults = []
        if not persistence.get("aof_enabled"):
            faults.append("appendonly is off: jobs accepted since the last snapshot can be lost")
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            faults.append(f"maxmemory-policy is {policy}, not noeviction: jobs can be evicted")
        return faults
