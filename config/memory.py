"""How much memory the media tools may use when no setting limits them."""

from __future__ import annotations

from config.values import MIB

USUAL_BUDGET_BYTES = 512 * MIB
LEAST_BUDGET_BYTES = 64 * MIB  # no media tool fits into less

# Memory of what runs beside the tools, as the kernel counts it for a group (docs/deployment.md).
# A worker alone in its container.
WORKER_BYTES = 124 * MIB
# All of `clipmill up`.
STACK_BYTES = 172 * MIB

# Requests that may wait in the API at once (`?wait=`, events). Each holds a thread, 0.14 MB.
MOST_WAITING = 1000
# What one transfer holds while its client does not read: the blocks under way, the buffers
# of its connection.
TRANSFER_BYTES = 512 * 1024
LEAST_TRANSFERS = 32
MOST_TRANSFERS = 400


# The records of jobs in the embedded server.
USUAL_STORE_BYTES = 256 * MIB
LEAST_STORE_BYTES = 16 * MIB


def default_store_bytes(limit_bytes: int) -> int:
    """The usual memory of the store, or an eighth of the limit if that is less."""
    return max(LEAST_STORE_BYTES, min(USUAL_STORE_BYTES, limit_bytes // 8))


def default_transfers(limit_bytes: int) -> int:
    """How many transfers there may be at once: together they take a twentieth of the limit."""
    return min(max(limit_bytes // 20 // TRANSFER_BYTES, LEAST_TRANSFERS), MOST_TRANSFERS)


def default_budget_bytes(limit_bytes: int, beside_bytes: int) -> int:
    """The usual budget, or what the limit leaves for the tools if that is less; at least 0."""
    return max(0, min(USUAL_BUDGET_BYTES, limit_bytes - beside_bytes))


def too_little(limit_bytes: int, beside_bytes: int) -> str:
    """The error message for a default budget that is less than any tool needs."""
    return (
        f"{limit_bytes // MIB} MiB of memory are too little: {beside_bytes // MIB} MiB are for "
        "what runs beside the media tools, and the tools need at least "
        f"{LEAST_BUDGET_BYTES // MIB} MiB. Raise the memory limit of the container or service; "
        "CLIPMILL_MEMORY_BUDGET, if set, is used as it is"
    )
