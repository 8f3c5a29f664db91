"""What a job made, as its record holds it: ids and facts. `tasks.rendering` adds the URLs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

from tasks.artifact import StoredArtifact
from tasks.media import MediaFacts
from tasks.network import NetworkUse

Value = TypeVar("Value")


def known(type_: type[Value], values: Mapping[str, Any]) -> Value:
    """A value of a dataclass from those of its fields that this version knows."""
    own = {item.name for item in fields(type_)}  # type: ignore[arg-type]  # a dataclass
    return type_(**{name: value for name, value in values.items() if name in own})


@dataclass(frozen=True)
class ArtifactRef:
    """A published file as the result of its job lists it, also after the file has expired."""

    id: str
    name: str
    role: str
    media_type: str
    size_bytes: int
    sha256: str
    duration_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    video_codec: str | None = None
    audio_codec: str | None = None

    @classmethod
    def of(cls, artifact: StoredArtifact) -> Self:
        """The reference to a published file."""
        facts = MediaFacts.from_dict(artifact.facts) if artifact.facts else None
        video = facts.video if facts else None
        sound = facts.audio[0] if facts and facts.audio else None
        return cls(
            id=artifact.id,
            name=artifact.filename,
            role=artifact.role,
            media_type=artifact.media_type,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            duration_seconds=facts.duration_seconds if facts else None,
            width=video.width if video else None,
            height=video.height if video else None,
            video_codec=video.codec if video else None,
            audio_codec=sound.codec if sound else None,
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """The fields of every kind's result. The results of the kinds are in `tasks.kinds`.

    `peak_memory_bytes` is the most memory that the attempt held, `memory_ratio` that peak divided
    by the estimate: 0 and None where no tool had to run.
    """

    artifacts: tuple[ArtifactRef, ...] = ()
    warnings: tuple[str, ...] = ()
    peak_memory_bytes: int = 0
    estimated_memory_bytes: int = 0
    memory_ratio: float | None = None
    network: NetworkUse | None = None  # of kinds that use it

    @property
    def main(self) -> ArtifactRef | None:
        """The file that other jobs take as their source."""
        return next((ref for ref in self.artifacts if ref.role == "main"), None)

    def with_artifacts(self, artifacts: Sequence[StoredArtifact]) -> Self:
        """The result with the files that were published."""
        return replace(self, artifacts=tuple(map(ArtifactRef.of, artifacts)))

    def reused(self) -> Self:
        """The result of an equal job, which had no work to do."""
        return replace(
            self, peak_memory_bytes=0, estimated_memory_bytes=0, memory_ratio=None, network=None
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        shown = {"artifacts": [{**vars(ref)} for ref in self.artifacts]}
        network = {"network": self.network.to_dict()} if self.network else {}
        own = {name: value for name, value in vars(self).items() if name != "network"}
        return {**own, **shown, "warnings": list(self.warnings), **network}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The result that `to_dict` wrote."""
        artifacts = tuple(known(ArtifactRef, ref) for ref in values["artifacts"])
        warnings = tuple(values["warnings"])
        network = NetworkUse.from_dict(values["network"]) if values.get("network") else None
        read = {"artifacts": artifacts, "warnings": warnings, "network": network}
        return known(cls, {**values, **read})
