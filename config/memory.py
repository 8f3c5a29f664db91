"""How much of the memory that there is the media tools may have, when no setting says it."""

from __future__ import annotations

from config.values import MIB

USUAL_BUDGET_BYTES = 512 * MIB
LEAST_BUDGET_BYTES = 64 * MIB  # no media tool fits into less

# What runs beside the tools, measured as the kernel counts it for a group (docs/deployment.md).
# A worker alone in its container.
WORKER_BYTES = 112 * MIB
# All of `clipmill up`.
STACK_BYTES = 160 * MIB

# Requests of the API that may wait at once (`?wait=`, events). Each holds a thread, 0.14 MB.
MOST_WAITING = 1000
# What one answer of a file's length holds while its client does not read: a thread, the blocks
# under way, the server's buffer.
TRANSFER_BYTES = 512 * 1024
LEAST_TRANSFERS = 32
MOST_TRANSFERS = 400


def default_transfers(limit_bytes: int) -> int:
    """How many such answers there may be at once: all of them take a twentieth of the limit."""
    return min(max(limit_bytes // 20 // TRANSFER_BYTES, LEAST_TRANSFERS), MOST_TRANSFERS)


def default_budget_bytes(limit_bytes: int, beside_bytes: int) -> int:
    """The usual budget, or what the limit leaves for it beside the rest; 0 if that is nothing."""
    return max(0, min(USUAL_BUDGET_BYTES, limit_bytes - beside_bytes))


def too_little(limit_bytes: int, beside_bytes: int) -> str:
    """The fault to tell when that default is less than any tool needs."""
    return (
        f"{limit_bytes // MIB} MiB of memory are too little: {beside_bytes // MIB} MiB are for "
        f"what runs beside the media tools, and these need at least {LEAST_BUDGET_BYTES // MIB} "
        "MiB. Raise the limit of the container or service; CLIPMILL_MEMORY_BUDGET, if set, is "
        "used as it is"
    )
