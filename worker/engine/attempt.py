"""What this machine offers to one attempt of a job: the `Machine` of worker.kinds.interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from config.machine import cpu_count
from config.settings import Settings
from tasks.addresses import resolve_and_check
from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactExpired, SourceFailed, TooLong
from tasks.job import Job
from tasks.kinds import ClipSpec, DownloadSpec
from tasks.media import MediaFacts
from tasks.storage import Storage
from tasks.store import Store
from tasks.tracing.context import NO_TRACING, Tracing
from worker import ytdlp
from worker.clip.plan import ClipPlan, plan_clip
from worker.cutting import Cut, CutTools, make_clip, make_thumbnail
from worker.engine.lease import LeasedJob
from worker.engine.publishing import source_artifacts
from worker.engine.usage import Usage
from worker.kinds.file_names import suffix_of
from worker.kinds.interface import Fetched, SourceMedia
from worker.memory.estimate import GUARD_BYTES, UNKNOWN_MEDIA, estimate_clip, estimate_site
from worker.memory.need import ResourceNeed
from worker.memory.peaks import Peaks
from worker.memory.table import Table, shipped_table
from worker.process.cgroups import Groups
from worker.process.limits import Profile
from worker.process.tools import ToolRunner
from worker.pyav.client import run_program

PROBE_SECONDS = 30.0
EXTRACT_SECONDS = 120.0

# Gives back what an attempt holds of the budget and waits for this instead, for so many seconds.
Exchange = Callable[[ResourceNeed, float], None]


@dataclass(frozen=True)
class Toolbox:
    """What all attempts on this machine share."""

    settings: Settings
    store: Store
    storage: Storage
    jobs_in_hand: Callable[[], int]
    tracing: Tracing = NO_TRACING
    peaks: Peaks = field(default_factory=Peaks)
    table: Table = field(default_factory=shipped_table)
    groups: Groups | None = None

    @property
    def budget_bytes(self) -> int:
        """What all attempts on this machine may use together."""
        return self.settings.memory_budget_bytes

    def need_of(self, job: Job, plan: ClipPlan | None = None) -> ResourceNeed:
        """The memory and threads to run a job with. Raises SourceFailed when its source is gone.

        What an earlier attempt has shown counts more than any estimate. `plan`: see `estimate`.
        """
        need = self.estimate(job, plan)
        floor = min(job.memory_floor_bytes, self.budget_bytes)
        return replace(need, memory_bytes=max(need.memory_bytes, floor))

    def estimate(self, job: Job, plan: ClipPlan | None = None) -> ResourceNeed:
        """What a job takes; `plan` is a clip's where its source's does not hold any more.

        Raises what `plan_clip` raises.
        """
        budget_bytes, factor = self.budget_bytes, self.peaks.factor
        if not isinstance(job.spec, ClipSpec):
            return estimate_site(
                job.kind, budget_bytes=budget_bytes, factor=factor, table=self.table
            )
        others = max(0, self.jobs_in_hand() - 1)
        return estimate_clip(
            plan or plan_clip(job.spec, self._source_facts(job)),
            budget_bytes=budget_bytes,
            idle_cores=max(1, cpu_count() - others),
            factor=factor,
            table=self.table,
        )

    def _source_facts(self, job: Job) -> MediaFacts:
        source = self.source_of(job) if job.depends_on else None
        return MediaFacts.from_dict(source.facts) if source and source.facts else UNKNOWN_MEDIA

    def source_of(self, job: Job) -> StoredArtifact:
        """The artifact that the job takes as its source. Raises SourceFailed."""
        artifact = next(iter(source_artifacts(self.store, job)), None)
        if artifact is None:
            gone = next(iter(job.depends_on), None)
            raise SourceFailed("the source of this job is gone", {"job_id": gone})
        return artifact

    def machine(
        self, leased: LeasedJob, folder: Path, need: ResourceNeed, exchange: Exchange
    ) -> JobMachine:
        """The tools of one attempt of one job."""
        return JobMachine(self, leased, folder, need, exchange)

    def tools(self, folder: Path, leased: LeasedJob, need: ResourceNeed) -> ToolRunner:
        """The tools of one attempt, which may use what it has reserved and no more."""
        return ToolRunner(
            folder,
            leased.stop,
            leased.observer,
            deadline_seconds=self.settings.job_deadline_seconds,
            memory_bytes=need.memory_bytes - GUARD_BYTES,
            groups=self.groups,
            tracing=self.tracing,
        )


class JobMachine:
    """The tools of one attempt of one job."""

    def __init__(
        self,
        toolbox: Toolbox,
        leased: LeasedJob,
        folder: Path,
        need: ResourceNeed,
        exchange: Exchange,
    ) -> None:
        self._toolbox = toolbox
        self._leased = leased
        self._need = need
        self._exchange = exchange
        self._tools = toolbox.tools(folder, leased, need)

    def account(self, *, stopped: bool = False) -> Usage:
        """What the attempt took, noted for later estimates; `stopped` for taking too much.

        Of one that was stopped only what was weighed is noted: that a tool says it had no memory
        may have other reasons, and others may have put the words in its mouth.
        """
        peak_bytes = self._tools.peak_bytes
        usage = Usage(peak_bytes, self._need.estimate_bytes or self._need.memory_bytes)
        if least_bytes := self._tools.stopped_at_bytes if stopped else peak_bytes:
            seen = max(peak_bytes, least_bytes)
            self._toolbox.peaks.note(self._need, seen, stopped=stopped)
        if peak_bytes:
            self._leased.observer.memory_compared(usage.ratio)
        return usage

    def extract(self, url: str, playlist_items: int) -> Mapping[str, Any]:
        """The contract's `info` of a page."""
        self._enter("extracting")
        resolve_and_check(url, self._toolbox.settings.allowed_networks)
        return ytdlp.extract(
            url,
            playlist_items=playlist_items,
            folder=self._tools.folder,
            run=self._tools.runner("yt-dlp"),
            limits=self._tools.limits(EXTRACT_SECONDS, profile=Profile.FETCH),
        )

    def download(self, spec: DownloadSpec) -> Fetched:
        """Fetch the media of a page, and see that it is media and not too long."""
        url = spec.source.url
        assert url is not None  # the planner takes no other source for this kind
        self._enter("downloading")
        settings = self._toolbox.settings
        resolve_and_check(url, settings.allowed_networks)
        found = ytdlp.download(
            url,
            quality=spec.quality,
            container=spec.container,
            folder=self._tools.folder,
            run=self._tools.runner("yt-dlp"),
            limits=self._tools.limits(profile=Profile.FETCH),
            max_bytes=settings.max_download_bytes,
            max_duration_seconds=settings.max_duration_seconds,
            on_progress=self._on_download,
        )
        facts = self._probe(found.path)
        self._check_duration(facts)
        path = found.path.rename(found.path.with_suffix(suffix_of(facts, found.path.suffix)))
        return Fetched(path, facts, found.info, found.warnings)

    @contextmanager
    def source(self) -> Iterator[SourceMedia]:
        """The file that the job's source delivered, for the block."""
        artifact, storage = self._toolbox.source_of(self._leased.job), self._toolbox.storage
        with ExitStack() as held:
            try:
                local = storage.local(artifact.storage_key, self._tools.folder)
                path = held.enter_context(local)
            except ArtifactExpired as error:
                raise SourceFailed("the source's file is no longer kept") from error
            self._toolbox.store.artifacts.used(artifact.id)
            if not storage.has(artifact.storage_key, artifact.size_bytes):
                raise SourceFailed("the source's file has been changed")
            facts = MediaFacts.from_dict(artifact.facts) if artifact.facts else self._probe(path)
            yield SourceMedia(path, facts, Path(artifact.filename).stem)

    def cut(self, spec: ClipSpec, source: SourceMedia) -> Cut:
        """Cut a range out of a file and check the result."""
        plan = plan_clip(spec, source.facts)
        plan = plan.tuned(self._need.threads, self._need.memory_saving_level)
        tools = CutTools(self._tools, self._enter, self._leased.progress, self._reserve)
        return make_clip(plan, source.path, tools)

    def thumbnail(self, cut: Cut) -> Path:
        """A small picture of the middle of a clip."""
        middle = (cut.facts.duration_seconds or 0.0) / 2
        return make_thumbnail(cut.path, middle, cut.facts, self._tools)

    def _reserve(self, plan: ClipPlan) -> ClipPlan:
        """Room for another plan than the first, and the plan as it fits in there."""
        need = self._toolbox.need_of(self._leased.job, plan)
        self._exchange(need, self._tools.seconds_left)
        self._need = need
        self._tools.memory_bytes = need.memory_bytes - GUARD_BYTES
        return plan.tuned(need.threads, need.memory_saving_level)

    def _probe(self, path: Path) -> MediaFacts:
        spec = {"source": str(path)}
        return MediaFacts.from_dict(
            run_program(self._tools, "probe", spec, self._tools.limits(PROBE_SECONDS))
        )

    def _check_duration(self, facts: MediaFacts) -> None:
        # Direct files and some manifests do not tell beforehand how long they are.
        longest = self._toolbox.settings.max_duration_seconds
        if facts.duration_seconds is not None and facts.duration_seconds > longest:
            raise TooLong("the source is longer than allowed", {"max_seconds": longest})

    def _enter(self, phase: str) -> None:
        self._leased.change(lambda job: job.entered(phase))

    def _on_download(
        self, fraction: float | None, speed: float | None, eta_seconds: float | None
    ) -> None:
        # Storing and probing come after the last byte.
        self._leased.progress(0.98 * (fraction or 0.0), speed, eta_seconds)
