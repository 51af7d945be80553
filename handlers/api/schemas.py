"""What requests and answers look like. The stored shape is another one: `views` translates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer
from typing_extensions import TypedDict

from sync_core.domain.batch import BatchStatus, EventType, ItemStatus, Priority
from sync_core.domain.methods import AiModel, Method
from sync_core.domain.result import Verdict
from sync_core.jobs.ports.event_outbox import DeliveryStatus
from sync_core.reports.results_document import timestamp

_BATCH_ID = "batch_20250828_140600_a1b2c3d4"
_ANALYSIS_ID = "20250828_140605_0f1e2d3c"
_RESULT_SUMMARY: dict[str, JsonValue] = {
    "offset_seconds": -15.023,
    "confidence": 0.981,
    "method_used": "AI (Wav2Vec2)",
    "analysis_id": _ANALYSIS_ID,
    "verdict": "offset",
    "precision_seconds": 0.0005,
    "speed_ratio": 1.0,
    "drift_ppm": 0.0,
    "rate_label": None,
}

MAX_TEXT = 4_096

Timestamp = Annotated[
    datetime,
    PlainSerializer(timestamp, return_type=str),
    Field(description="UTC, to the second.", examples=["2025-08-28T14:06:00Z"]),
]
BatchIdText = Annotated[str, Field(examples=[_BATCH_ID])]
AnalysisIdText = Annotated[str, Field(examples=[_ANALYSIS_ID])]
WebhookText = Annotated[
    str,
    Field(
        max_length=2_048,
        description="Address that is told of each change of the batch's state.",
        examples=["https://your-server.com/webhook/batch-status"],
    ),
]


class Answer(BaseModel):
    """What every answer but an error begins with."""

    success: Literal[True] = True


class StartRequest(BaseModel):
    """How a batch is to run; what is left out stays as the upload said."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"parallel_jobs": 2, "priority": "normal"}]}
    )

    parallel_jobs: Annotated[int, Field(ge=1, le=64, description="Items in work at once.")] = 2
    priority: Annotated[Priority | None, Field(description="Overrides the upload's.")] = None
    notification_webhook: WebhookText | None = None


class PairRequest(BaseModel):
    """One master and one dub to compare."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "master_file": "/mnt/data/audio/master1.wav",
                    "dub_file": "/mnt/data/audio/dub1.wav",
                    "methods": ["mfcc", "onset", "spectral"],
                    "wait_seconds": 30,
                }
            ]
        },
    )

    master_file: Annotated[str, Field(max_length=MAX_TEXT, description="Path, `s3://bucket/key` or https address.")]
    dub_file: Annotated[str, Field(max_length=MAX_TEXT, description="As `master_file`.")]
    methods: Annotated[list[Method], Field(max_length=16, description="None: mfcc, onset and spectral.")] = Field(
        default_factory=list
    )
    ai_model: Annotated[AiModel | None, Field(description="For method `ai`; left out, wav2vec2.")] = None
    description: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    tags: Annotated[list[Annotated[str, Field(max_length=MAX_TEXT)]], Field(max_length=100)] = Field(
        default_factory=list
    )
    channels: Annotated[
        Literal["downmix", "per_channel"],
        Field(description="`per_channel`: each channel's offset too."),
    ] = "downmix"
    priority: Priority = Priority.NORMAL
    notification_webhook: WebhookText | None = None
    wait_seconds: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False, description="Answer with the result, or 408 where it isn't there by then."),
    ] = None


class UploadedItem(BaseModel):
    """A row of an upload, as it was understood."""

    item_id: Annotated[str, Field(examples=["item_001"])]
    master_file: Annotated[str, Field(examples=["/mnt/data/audio/master1.wav"])]
    dub_file: Annotated[str, Field(examples=["/mnt/data/audio/dub1.wav"])]
    methods: list[Method]
    ai_model: AiModel | None
    description: str
    tags: list[str]
    status: ItemStatus


class UploadResponse(Answer):
    """A stored batch."""

    batch_id: BatchIdText
    items_count: int
    items: Annotated[list[UploadedItem], Field(description="The first 1,000 items.")]
    items_truncated: Annotated[bool, Field(description="Whether the batch has more items than are listed here.")]
    ignored_columns: Annotated[list[str], Field(description="Columns of the file that mean nothing here.")]
    retry_of: Annotated[str | None, Field(description="The batch whose failed items these are.")]
    message: str
    timestamp: Timestamp


class BatchFigures(BaseModel):
    """Where a batch is."""

    batch_id: BatchIdText
    status: BatchStatus
    progress: Annotated[float, Field(description="Ended items in percent.", examples=[66.7])]
    items_total: int
    items_completed: int
    items_processing: int
    items_failed: int
    items_pending: int
    items_cancelled: int


class BatchMessage(BatchFigures, Answer):
    """Answer to a request that changed a batch's state."""

    estimated_completion: Timestamp | None
    message: str
    timestamp: Timestamp


class StatusResponse(BatchFigures, Answer):
    """Where a batch is; one read, whatever its size."""

    estimated_completion: Annotated[Timestamp | None, Field(description="Null until an item has ended.")]
    timestamp: Timestamp


class ResultSummary(BaseModel):
    """The main fields of a result; `/results` and `/analysis/{analysis_id}` give all."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RESULT_SUMMARY]})

    offset_seconds: Annotated[
        float | None, Field(description="Shift to apply to the dub. Negative: the dub is late. Null: no match.")
    ]
    confidence: Annotated[float, Field(description="Probability that the offset is within one frame of the truth.")]
    method_used: str | None
    analysis_id: str | None
    verdict: Verdict
    precision_seconds: float | None
    speed_ratio: Annotated[float | None, Field(description="Above 1: the dub plays too fast.")]
    drift_ppm: float | None
    rate_label: str | None


class ItemDetail(TypedDict):
    """One item of a status; a running one tells its stage, a failed one its error."""

    item_id: str
    status: ItemStatus
    result: NotRequired[ResultSummary | None]
    error: NotRequired[str | None]
    error_code: NotRequired[str | None]
    stage: NotRequired[str]
    percent: NotRequired[float]


class DetailedStatusResponse(BatchFigures, Answer):
    """A status with its items, in their order."""

    items_details: list[ItemDetail]
    next_cursor: Annotated[str | None, Field(description="Where to go on; null on the last page.")]
    estimated_completion: Timestamp | None
    timestamp: Timestamp


class BatchListEntry(BatchFigures):
    """A batch in the list."""

    description: str
    priority: Priority
    parallel_jobs: int
    created_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    retry_of: str | None


class BatchListResponse(Answer):
    """Batches, newest first."""

    batches: list[BatchListEntry]
    next_cursor: Annotated[str | None, Field(description="Where to go on; null on the last page.")]
    timestamp: Timestamp


class FullResult(ResultSummary):
    """All that an analysis says. A result that an older version stored may lack fields; they are empty then."""

    model_config = ConfigDict(extra="allow")

    segments: Annotated[list[dict[str, object]], Field(description="Stretches of the dub with one offset each.")] = []
    candidates: Annotated[list[dict[str, object]], Field(description="Other plausible offsets, best first.")] = []
    methods: Annotated[list[dict[str, object]], Field(description="What each method found by itself.")] = []
    frames: Annotated[dict[str, object] | None, Field(description="The offset in video frames.")] = None
    timecode: str | None = None
    media: Annotated[dict[str, object], Field(description="What was read of each file.")] = {}
    notes: list[str] = []


class AnalysisResponse(Answer):
    """One pair, running or done."""

    analysis_id: AnalysisIdText
    batch_id: BatchIdText
    item_id: str
    status: ItemStatus
    master_file: str
    dub_file: str
    methods: list[Method]
    ai_model: AiModel | None
    description: str
    tags: list[str]
    stage: str | None
    percent: float | None
    result: FullResult | None
    error: str | None
    error_code: str | None
    status_url: Annotated[str, Field(examples=[f"/api/v1/analysis/{_ANALYSIS_ID}"])]
    timestamp: Timestamp


class ResultsSummary(BaseModel):
    items_total: int
    items_completed: int
    items_failed: int
    items_processing: int
    items_pending: int
    items_cancelled: int
    average_confidence: Annotated[float, Field(description="Over the items that have an offset; 0.0 when none has.")]
    processing_time_seconds: float


class ResultsItem(BaseModel):
    item_id: str
    master_file: str
    dub_file: str
    methods: list[Method]
    ai_model: AiModel | None
    description: str
    tags: list[str]
    status: ItemStatus
    result: FullResult | None
    error: Annotated[str | None, Field(description="Only of failed items.")] = None
    error_code: Annotated[str | None, Field(description="Only of failed items.")] = None


class DownloadLinks(BaseModel):
    json_report: str
    csv_export: str


class ResultsResponse(Answer):
    """Results of all items in their order; partial while the batch is running."""

    batch_id: BatchIdText
    status: BatchStatus
    summary: ResultsSummary
    results: list[ResultsItem]
    download_links: DownloadLinks
    timestamp: Timestamp


class ModelInfo(BaseModel):
    name: AiModel
    label: str
    installed: bool
    devices: Annotated[list[str], Field(description="Where the workers that have it run it.")]
    reason: str | None


class MethodInfo(BaseModel):
    name: Method
    label: str
    description: str
    available: bool
    reason: Annotated[str | None, Field(description="Why no running worker offers it.")]
    models: Annotated[list[ModelInfo], Field(description="AI models; empty for the other methods.")]


class MethodsResponse(Answer):
    """What the running workers can do, taken together."""

    methods: list[MethodInfo]
    timestamp: Timestamp


class WorkerSummary(BaseModel):
    worker_id: str
    host: str
    slots: int
    device: str
    version: str
    methods: list[Method]
    ai_models: list[str]
    unavailable: Annotated[
        dict[str, str], Field(description="Why not, per method, `ai:<model>`, or `gpu` where one cannot be used.")
    ]
    started_at: Timestamp
    seen_at: Timestamp


class QueueFigures(BaseModel):
    waiting: int
    in_flight: int
    dead: Annotated[int, Field(description="Given up; the sweeper ends their items.")]


class HealthResponse(Answer):
    """What is connected, and what can run."""

    status: Annotated[Literal["healthy", "degraded"], Field(description="Degraded: no worker is running.")]
    reason: str | None
    version: str
    backend: Annotated[str, Field(description="The back end that is connected.", examples=["embedded"])]
    methods: Annotated[list[Method], Field(description="Methods that can run now.")]
    workers: list[WorkerSummary]
    queue_depth: dict[Priority, QueueFigures]
    timestamp: Timestamp


class WebhookData(BaseModel):
    """What a webhook tells of its batch."""

    batch_id: BatchIdText
    analysis_id: Annotated[str | None, Field(description="Of a one-pair analysis; null for a batch.")]
    status: BatchStatus
    items_total: int
    items_completed: int
    items_failed: int
    items_cancelled: int
    average_confidence: float


class WebhookEvent(BaseModel):
    """The body of a webhook, as Standard Webhooks recommends it."""

    type: EventType
    timestamp: Annotated[datetime, Field(description="When it happened, in UTC.")]
    data: WebhookData


class DeliveryAttempt(BaseModel):
    """One try at sending an event."""

    began_at: Timestamp
    seconds: Annotated[float, Field(description="How long it took.")]
    status_code: Annotated[int | None, Field(description="What the receiver answered; null where it did not.")]
    error: Annotated[str | None, Field(description="Null where the receiver took the event.")]


class Delivery(BaseModel):
    """Where the delivery of one event is."""

    event_id: Annotated[str, Field(examples=["evt_20250828_140600_a1b2c3d4_completed"])]
    event_type: EventType
    batch_id: BatchIdText
    webhook_url: str
    status: Annotated[
        DeliveryStatus,
        Field(
            description="`pending`: sent, or sent again, at `next_attempt_at`; `delivered`: the receiver answered 2xx; "
            "`given_up`: the last attempt of the schedule failed; `disabled`: the receiver answered 410 to this event "
            "or another one of the batch; `undeliverable`: nothing can be sent as the service is set."
        ),
    ]
    reason: Annotated[str | None, Field(description="Why it is given up, disabled or undeliverable, and what to do.")]
    created_at: Timestamp
    next_attempt_at: Timestamp | None
    replays: Annotated[int, Field(description="How often it was sent anew on request.")]
    attempts: Annotated[list[DeliveryAttempt], Field(description="The latest 20, oldest first.")]
    payload: Annotated[dict[str, object], Field(description="What is sent.")]


class DeliveriesResponse(Answer):
    """The deliveries of one batch, in the order of its events."""

    deliveries: list[Delivery]
    timestamp: Timestamp


class DeliveryResponse(Answer):
    """The delivery of one event."""

    delivery: Delivery
    timestamp: Timestamp


class ErrorResponse(BaseModel):
    """The shape of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "success": False,
                    "error": "Batch batch_12345 not found",
                    "error_code": "NOT_FOUND",
                    "timestamp": "2025-08-28T14:00:00Z",
                    "request_id": "8f14e45fceea467a9d5b2c3e1a0f6b77",
                }
            ]
        }
    )

    success: Literal[False] = False
    error: str
    error_code: str
    details: Annotated[
        list[dict[str, object]], Field(description="Each thing that is wrong, where there can be several.")
    ] = []
    timestamp: Timestamp
    request_id: str
