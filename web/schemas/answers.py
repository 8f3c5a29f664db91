"""The answers of the API, for the OpenAPI document. `tasks.rendering` makes the real bytes."""

from __future__ import annotations

from itertools import chain

from marshmallow import fields, validate

from tasks.batch import BATCH_STATES
from tasks.job import JobState, WaitReason
from tasks.kinds import KINDS
from tasks.metrics.bottleneck import Limit
from tasks.webhook import EVENTS
from web.schemas.open import AnswerSchema

_STATES = validate.OneOf(tuple(JobState))
_PHASES = (*chain.from_iterable(kind.phases for kind in KINDS.values()), "storing")


class FaultSchema(AnswerSchema):
    """One fault of a request."""

    pointer = fields.String(metadata={"example": "/jobs/3/start"})
    detail = fields.String()


class ProblemSchema(AnswerSchema):
    """Why a request was rejected (RFC 9457)."""

    type = fields.String(metadata={"example": "urn:clipmill:problem:validation_failed"})
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    instance = fields.String()
    code = fields.String(metadata={"description": "Stable.", "example": "validation_failed"})
    errors = fields.List(fields.Nested(FaultSchema))


class ArtifactSchema(AnswerSchema):
    """A finished file."""

    id = fields.String()
    name = fields.String()
    role = fields.String(metadata={"example": "main"})
    media_type = fields.String(metadata={"example": "video/mp4"})
    size_bytes = fields.Integer()
    sha256 = fields.String()
    duration_seconds = fields.Float(allow_none=True)
    width = fields.Integer(allow_none=True)
    height = fields.Integer(allow_none=True)
    video_codec = fields.String(allow_none=True)
    audio_codec = fields.String(allow_none=True)
    url = fields.String(metadata={"description": "A path on this API."})


class VerificationSchema(AnswerSchema):
    """What was found when the finished clip was compared with its source."""

    frames_expected = fields.Integer()
    frames_found = fields.Integer()
    frames_compared = fields.Integer()
    worst_psnr = fields.Float(
        allow_none=True, metadata={"description": "Of encoded pictures, in dB."}
    )
    audio_offset_ms = fields.Float(allow_none=True)
    source_errors = fields.Integer(metadata={"description": "Damaged pictures of the source."})


class HostUseSchema(AnswerSchema):
    """What went to one host and port, and what came from there."""

    host = fields.String()
    requests = fields.Integer(metadata={"description": "Connections."})
    bytes_received = fields.Integer()
    bytes_sent = fields.Integer()


class NetworkUseSchema(AnswerSchema):
    """What a job did on the network."""

    hosts = fields.List(fields.Nested(HostUseSchema))
    refused = fields.Integer(metadata={"description": "Connections to forbidden addresses."})


class ResultSchema(AnswerSchema):
    """What a job made. Only clips have `mode` to `verification`, other kinds the fields after."""

    artifacts = fields.List(fields.Nested(ArtifactSchema))
    warnings = fields.List(fields.String())
    peak_memory_bytes = fields.Integer(allow_none=True)
    mode = fields.String(metadata={"enum": ["copy", "smart", "encode"]})
    mode_reason = fields.String()
    requested_start = fields.Float()
    requested_end = fields.Float()
    actual_start = fields.Float()
    actual_end = fields.Float()
    frames = fields.Integer()
    frames_encoded = fields.Integer()
    frames_copied = fields.Integer()
    verification = fields.Nested(VerificationSchema)
    source = fields.Dict(metadata={"description": "Of a download: title, uploader, …"})
    deduplicated = fields.Boolean(metadata={"description": "Of a download."})
    info = fields.Dict(metadata={"description": "Of an extract: what the page says."})
    network = fields.Nested(
        NetworkUseSchema, metadata={"description": "Of kinds that use the network."}
    )


class FailureSchema(AnswerSchema):
    """Why a job failed."""

    code = fields.String(metadata={"example": "range_outside_media"})
    message = fields.String()
    retryable = fields.Boolean()
    detail = fields.Dict()


class LinksSchema(AnswerSchema):
    """Paths on this API."""

    self = fields.String()
    events = fields.String()
    cancel = fields.String()


class NamedWebhookSchema(AnswerSchema):
    """A URL that is told of events."""

    url = fields.String()
    events = fields.List(fields.String(validate=validate.OneOf(EVENTS)))


class JobSchema(AnswerSchema):
    """One job, wherever it appears."""

    id = fields.String()
    kind = fields.String(validate=validate.OneOf(tuple(KINDS)))
    state = fields.String(validate=_STATES)
    phase = fields.String(allow_none=True, metadata={"enum": [*_PHASES, None]})
    wait_reason = fields.String(allow_none=True, metadata={"enum": [*WaitReason, None]})
    progress = fields.Float(metadata={"minimum": 0, "maximum": 1})
    speed = fields.Float(allow_none=True, metadata={"description": "Media seconds a second."})
    eta_seconds = fields.Float(allow_none=True)
    priority = fields.Integer()
    attempt = fields.Integer()
    max_attempts = fields.Integer()
    batch_id = fields.String(allow_none=True)
    depends_on = fields.String(
        allow_none=True, metadata={"description": "The job that delivers the source."}
    )
    dependencies = fields.List(
        fields.String(),
        metadata={"description": "All jobs that deliver sources, of a job with several."},
    )
    external_id = fields.String(allow_none=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String())
    webhook = fields.Nested(
        NamedWebhookSchema,
        metadata={"description": "Who is told of its end, if the job names one."},
    )
    spec = fields.Dict(metadata={"description": "The request as accepted, defaults filled in."})
    created_at = fields.DateTime()
    started_at = fields.DateTime(allow_none=True)
    finished_at = fields.DateTime(allow_none=True)
    queue_seconds = fields.Float(allow_none=True)
    run_seconds = fields.Float(allow_none=True)
    result = fields.Nested(ResultSchema, allow_none=True)
    error = fields.Nested(FailureSchema, allow_none=True)
    links = fields.Nested(LinksSchema)


class TimelineEventSchema(AnswerSchema):
    """One thing that happened to a job."""

    at = fields.DateTime()
    event = fields.String(metadata={"enum": [*JobState, "phase", "waiting", "ready"]})
    attempt = fields.Integer()
    phase = fields.String()
    wait_reason = fields.String()
    code = fields.String(metadata={"description": "Of a failure."})
    why = fields.String(metadata={"description": "Why the job was requeued."})


class TimelineSchema(AnswerSchema):
    """What happened to a job, in order."""

    id = fields.String()
    events = fields.List(fields.Nested(TimelineEventSchema))


class FailureGroupSchema(AnswerSchema):
    """Failed jobs of one kind and code."""

    kind = fields.String(validate=validate.OneOf(tuple(KINDS)))
    code = fields.String()
    count = fields.Integer()
    newest_id = fields.String()
    message = fields.String(metadata={"description": "Of the newest job."})


class FailuresSchema(AnswerSchema):
    """The errors of failed jobs, the most frequent first."""

    failures = fields.List(fields.Nested(FailureGroupSchema))


class RetriedSchema(AnswerSchema):
    """The jobs that run again."""

    retried = fields.List(fields.String())


class MediaSchema(AnswerSchema):
    """What a file was found to hold."""

    media_type = fields.String(metadata={"example": "video/mp4"})
    duration_seconds = fields.Float(allow_none=True)
    width = fields.Integer(allow_none=True)
    height = fields.Integer(allow_none=True)
    video_codec = fields.String(allow_none=True)
    audio_codec = fields.String(allow_none=True)


class UploadSchema(AnswerSchema):
    """A file of a client. `media` is null until it is checked."""

    id = fields.String()
    filename = fields.String()
    size_bytes = fields.Integer()
    sha256 = fields.String()
    state = fields.String(validate=_STATES)
    created_at = fields.DateTime()
    media = fields.Nested(MediaSchema, allow_none=True)
    error = fields.Dict(allow_none=True)
    links = fields.Dict(keys=fields.String(), values=fields.String())


class UploadPageSchema(AnswerSchema):
    """Uploads, newest first."""

    uploads = fields.List(fields.Nested(UploadSchema))
    next_cursor = fields.String(allow_none=True)


class JobPageSchema(AnswerSchema):
    """Jobs, newest first."""

    jobs = fields.List(fields.Nested(JobSchema))
    next_cursor = fields.String(allow_none=True, metadata={"description": "null on the last page"})


class CountsSchema(AnswerSchema):
    """How many jobs of a batch are in each state."""

    queued = fields.Integer()
    running = fields.Integer()
    succeeded = fields.Integer()
    failed = fields.Integer()
    cancelled = fields.Integer()


class BatchLinksSchema(LinksSchema):
    """Paths on this API."""

    archive = fields.String()


class BatchSummarySchema(AnswerSchema):
    """A batch without its jobs."""

    id = fields.String()
    state = fields.String(validate=validate.OneOf(BATCH_STATES))
    counts = fields.Nested(CountsSchema)
    progress = fields.Float(metadata={"minimum": 0, "maximum": 1})
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)
    links = fields.Nested(BatchLinksSchema)


class BatchSchema(BatchSummarySchema):
    """Jobs that were submitted together."""

    jobs = fields.List(fields.Nested(JobSchema), metadata={"description": "See `?jobs=`."})


class BatchPageSchema(AnswerSchema):
    """Batches, newest first."""

    batches = fields.List(fields.Nested(BatchSummarySchema))
    next_cursor = fields.String(allow_none=True)


class ServiceSchema(AnswerSchema):
    """The health of one part."""

    status = fields.String(validate=validate.OneOf(("healthy", "degraded", "unhealthy")))
    reason = fields.String(metadata={"description": "Why it is not healthy, where that is known."})


class WorkersSchema(ServiceSchema):
    """The health of the workers."""

    count = fields.Integer()
    running = fields.Integer(metadata={"description": "Jobs."})
    concurrency = fields.Integer(metadata={"description": "Jobs that may run at once."})


class ToolSchema(ServiceSchema):
    """Whether workers have a tool, and which versions of it."""

    versions = fields.List(fields.String())


class ServicesSchema(AnswerSchema):
    """The parts that the system needs."""

    redis = fields.Nested(ServiceSchema)
    broker = fields.Nested(
        ServiceSchema, metadata={"description": "Only where messages have a server of their own."}
    )
    workers = fields.Nested(WorkersSchema)
    storage = fields.Nested(ServiceSchema)
    ffmpeg = fields.Nested(ToolSchema)
    yt_dlp = fields.Nested(ToolSchema)


class HealthSchema(AnswerSchema):
    """The health of the whole system."""

    status = fields.String(validate=validate.OneOf(("healthy", "degraded", "unhealthy")))
    version = fields.String()
    uptime_seconds = fields.Float()
    services = fields.Nested(ServicesSchema)
    queue = fields.Dict(keys=fields.String(), values=fields.Integer())


class EvidenceSchema(AnswerSchema):
    """The workers' reports: jobs and memory of all together, the worst value of the rest."""

    workers = fields.Integer()
    workers_by_limit = fields.Dict(keys=fields.String(), values=fields.Integer())
    running = fields.Integer()
    concurrency = fields.Integer(metadata={"description": "Jobs that may run at once."})
    queued = fields.Dict(keys=fields.String(), values=fields.Integer())
    phases = fields.Dict(keys=fields.String(), values=fields.Integer())
    cpu_percent = fields.Float(metadata={"description": "Of all cores, by all processes."})
    own_cpu_percent = fields.Float(metadata={"description": "Of all cores, by Clipmill."})
    io_wait_percent = fields.Float()
    memory_budget_bytes = fields.Integer()
    memory_reserved_bytes = fields.Integer()
    memory_used_bytes = fields.Integer()
    jobs_waiting_for_memory = fields.Integer()
    disk_free_bytes = fields.Integer(allow_none=True)
    throttled_site_count = fields.Integer()
    throttled_sites = fields.List(
        fields.String(), metadata={"description": "Only for a key that may see every job."}
    )


class BottleneckSchema(AnswerSchema):
    """What limits throughput now."""

    limit = fields.String(validate=validate.OneOf(tuple(Limit)))
    since = fields.DateTime(allow_none=True)
    advice = fields.String()
    evidence = fields.Nested(EvidenceSchema)
