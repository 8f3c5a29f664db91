"""The answer of the cut program."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

from worker.clip.plan import CLAMP_TOLERANCE_SECONDS, USUAL_OVERLAPS
from worker.pyav.open_range import Source
from worker.pyav.request import CutRequest
from worker.pyav.verify import Verified
from worker.pyav.window import seconds


@dataclass(frozen=True, slots=True)
class CutResult:
    """The clip that was made; times are the source's media time in seconds.

    `actual_start` is the clip's zero.
    """

    mode: str
    mode_reason: str
    requested_start: float
    requested_end: float
    actual_start: float
    actual_end: float
    duration_seconds: float
    frames: int
    frames_encoded: int
    frames_copied: int
    warnings: tuple[str, ...] = ()
    verification: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None  # of the finished file

    def verified(self, expected: int, found: Verified) -> Self:
        """The same, with what its check compared."""
        warnings = self.warnings
        if found.source_errors:
            pictures = "picture" if found.source_errors == 1 else "pictures"
            warnings += (f"the source is damaged: {found.source_errors} {pictures} of the range",)
        if found.overlaps > USUAL_OVERLAPS:
            warnings += (f"{found.overlaps} packets of sound overlap others and were left out",)
        verification = {
            "frames_expected": expected,
            "frames_found": self.frames,
            "frames_compared": found.frames_compared,
            "worst_psnr": found.worst_psnr,
            "audio_offset_ms": found.audio_offset_ms,
            "source_errors": found.source_errors,
        }
        return replace(self, warnings=warnings, verification=verification, facts=found.facts)


def result_of(
    source: Source,
    request: CutRequest,
    *,
    end: Fraction,
    mode: str,
    reason: str,
    frames: tuple[int, int],
    warnings: tuple[str, ...],
) -> CutResult:
    """The result; `end` is in the clip's time, `frames` are encoded and copied."""
    window = source.window
    actual_end = end + source.origin - window.zero
    return CutResult(
        mode=mode,
        mode_reason=reason,
        requested_start=float(request.start),
        requested_end=float(request.end),
        actual_start=float(source.origin - window.zero),
        actual_end=float(actual_end),
        duration_seconds=float(end),
        frames=sum(frames),
        frames_encoded=frames[0],
        frames_copied=frames[1],
        warnings=(*_warnings(source, actual_end), *warnings),
    )


def _warnings(source: Source, actual_end: Fraction) -> tuple[str, ...]:
    """The warnings about the clip, for the client."""
    warnings = []
    end = source.window.end
    if source.index.ended and end > actual_end + seconds(CLAMP_TOLERANCE_SECONDS):
        warnings.append(
            f"the end, {float(end):.3f} s, is past the end of the media; "
            f"the clip ends at {float(actual_end):.3f} s"
        )
    return tuple(warnings)
