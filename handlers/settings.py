"""What each process can be told through its environment: one frozen class per process, read once at the entry point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sync_core.domain.batch import Priority
from sync_core.domain.errors import ConfigurationError
from sync_core.domain.media import MediaPolicy, is_inside
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.process import AttemptPolicy
from sync_core.jobs.webhook_secrets import parse_secrets
from sync_core.jobs.worker_loop import WorkerPolicy

_Settings = TypeVar("_Settings", bound=BaseSettings)


class MediaSettings(BaseSettings):
    """What can be told about media that do not lie on this machine."""

    model_config = SettingsConfigDict(env_prefix="SYNC_", frozen=True, extra="ignore")

    allowed_buckets: Annotated[
        tuple[str, ...],
        Field(description="JSON list of the buckets that media may lie in, besides `SYNC_AWS_BUCKET`."),
    ] = Field(default_factory=tuple)
    https_media: Annotated[bool, Field(description="Read media at https addresses on the public internet.")] = False
    https_max_bytes: Annotated[PositiveInt, Field(description="Largest file at an https address.")] = 100_000_000_000
    https_timeout_seconds: Annotated[
        PositiveFloat, Field(description="Longest time for reading one file at an https address.")
    ] = 1800.0

    @property
    def user_policy(self) -> MediaPolicy:
        """What the command line may read: whatever its user may, over https if that is on."""
        return self._with_remote_media(MediaPolicy(unrestricted=True, relative_to=str(Path.cwd())))

    def _with_remote_media(self, policy: MediaPolicy) -> MediaPolicy:
        return replace(
            policy,
            allowed_buckets=self.allowed_buckets,
            https_enabled=self.https_media,
            https_max_bytes=self.https_max_bytes,
            https_max_seconds=self.https_timeout_seconds,
        )


class CommonSettings(MediaSettings):
    """What the API and the workers share."""

    backend: Annotated[Literal["embedded", "aws"], Field(description="Where batches, queue and reports live.")] = (
        "embedded"
    )
    data_dir: Annotated[Path, Field(description="Folder of the embedded back end.")] = Path(".sync-analyzer")
    aws_table: Annotated[str | None, Field(description="DynamoDB table of the aws back end.")] = None
    aws_bucket: Annotated[str | None, Field(description="S3 bucket for reports of the aws back end.")] = None
    aws_queues: Annotated[
        dict[Priority, str] | None, Field(description="JSON object: the URL of the SQS queue of each priority.")
    ] = None
    aws_dead_letters: Annotated[
        dict[Priority, str] | None, Field(description="JSON object: the URL of each priority's dead-letter queue.")
    ] = None
    retention_days: Annotated[
        PositiveInt, Field(description="How long the aws back end keeps batches and idempotency keys.")
    ] = 90
    drop_dir: Annotated[
        Path | None,
        Field(description="Folder that `serve` watches; unset, `drop` in the data folder, and none with aws."),
    ] = None
    media_roots: Annotated[tuple[Path, ...], Field(description="JSON list of the folders that media may lie in.")] = (
        Field(default_factory=lambda: (Path("/mnt/data"), Path.cwd()))
    )
    max_receives: Annotated[
        PositiveInt,
        Field(description="Receipts of a message before it counts as dead; three times the attempts or more."),
    ] = 12
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least level logged.")] = (
        "INFO"
    )
    log_format: Annotated[Literal["text", "json"], Field(description="Form of log lines.")] = "text"
    metrics_format: Annotated[
        Literal["none", "emf"], Field(description="Metrics on standard output; emf: as CloudWatch reads them.")
    ] = "none"

    @field_validator("media_roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute():
                raise ValueError(f"{root} must be an absolute path")
        return roots

    @field_validator("aws_queues", "aws_dead_letters")
    @classmethod
    def _of_each_priority(cls, urls: dict[Priority, str] | None) -> dict[Priority, str] | None:
        if urls is not None and set(urls) != set(Priority):
            raise ValueError(f"name a queue for each of {', '.join(Priority)}")
        return urls

    @property
    def media_policy(self) -> MediaPolicy:
        """The media that may be read; on one machine, relative paths are taken against the working directory."""
        relative_to = str(Path.cwd()) if self.backend == "embedded" else None
        roots = list(map(str, self.media_roots))
        if self.watched_dir and not is_inside(str(self.watched_dir), roots):
            roots.append(str(self.watched_dir))
        policy = self._with_remote_media(MediaPolicy(roots=tuple(roots), relative_to=relative_to))
        own_bucket = (self.aws_bucket,) if self.backend == "aws" and self.aws_bucket else ()
        return replace(policy, allowed_buckets=(*policy.allowed_buckets, *own_bucket))

    @property
    def watched_dir(self) -> Path | None:
        """The folder into which files may be dropped; media may lie in it."""
        if self.drop_dir is None:
            return (self.data_dir / "drop").absolute() if self.backend == "embedded" else None
        return self.drop_dir.absolute()


class AiModelSettings(BaseSettings):
    """What a process that analyses can be told about the models of the ai method."""

    model_config = SettingsConfigDict(env_prefix="SYNC_", frozen=True, extra="ignore")

    model_dir: Annotated[Path, Field(description="Folder of the AI models.")] = Path(".sync-analyzer/models")
    ai_device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(description="Where AI models run; auto: on a GPU that is free.")
    ] = "auto"
    ai_budget_seconds: Annotated[
        PositiveFloat, Field(description="Time that embedding one pair may take without a GPU.")
    ] = 60.0
    ai_hidden_layer: Annotated[
        PositiveInt | None, Field(description="Layer of a wav2vec2 model to listen to; unset, the sixth.")
    ] = None


class UploadSettings(CommonSettings):
    """What may come in as a batch, through the API or by a drop folder."""

    upload_max_bytes: Annotated[PositiveInt, Field(description="Largest upload.")] = 10_000_000
    upload_max_rows: Annotated[PositiveInt, Field(description="Most rows in one upload.")] = 50_000
    upload_max_cell_characters: Annotated[PositiveInt, Field(description="Longest cell in an upload.")] = 4_096
    webhook_allow_private: Annotated[bool, Field(description="Accept webhook receivers on the own network.")] = False

    @property
    def upload_limits(self) -> UploadLimits:
        """The limits of an upload."""
        return UploadLimits(self.upload_max_bytes, self.upload_max_rows, self.upload_max_cell_characters)


class ApiSettings(UploadSettings):
    """What the API can be told."""

    wait_max_seconds: Annotated[PositiveFloat, Field(description="Longest `wait_seconds` of a one-pair analysis.")] = (
        300.0
    )


class ServeSettings(ApiSettings):
    """What `serve` can be told: the API, and a drop folder on this machine."""

    results_dir: Annotated[
        Path | None, Field(description="Where results of dropped files go; unset, `results` beside the drop folder.")
    ] = None
    drop_settle_seconds: Annotated[
        PositiveFloat, Field(description="How long a dropped file must have stayed as it is before it is read.")
    ] = 1.0

    @property
    def written_dir(self) -> Path | None:
        """The folder into which results are written."""
        if self.watched_dir is None:
            return None
        return (self.results_dir or self.watched_dir.parent / "results").absolute()

    @property
    def drop_source(self) -> str:
        """A name for the drop folder that stays the same when the data folder is moved with all that is in it."""
        folder, data_dir = self.watched_dir, self.data_dir.absolute()
        if folder is None or not folder.is_relative_to(data_dir):
            return f"file://{folder}"
        return f"data:{folder.relative_to(data_dir).as_posix()}"

    @model_validator(mode="after")
    def _keep_results_apart(self) -> Self:
        drop, results = self.watched_dir, self.written_dir
        if drop and results and (results.is_relative_to(drop) or drop.is_relative_to(results)):
            raise ValueError(f"SYNC_RESULTS_DIR {results} and SYNC_DROP_DIR {drop} must not lie in each other")
        return self


class LambdaSettings(ApiSettings):
    """What the API on Lambda can be told: the same, within the limits of API Gateway."""

    backend: Literal["aws"] = "aws"
    upload_max_bytes: Annotated[int, Field(ge=1, le=4_000_000)] = 4_000_000
    upload_max_rows: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    wait_max_seconds: Annotated[float, Field(gt=0, le=25)] = 25.0


class DropFolderSettings(UploadSettings):
    """What the function behind the bucket's drop folder can be told."""

    backend: Literal["aws"] = "aws"


class WorkerSettings(AiModelSettings, CommonSettings):
    """What a worker can be told."""

    slots: Annotated[int, Field(ge=1, le=64, description="Items that one worker does at once.")] = 2
    lease_seconds: Annotated[PositiveFloat, Field(description="How long a silent worker keeps its item.")] = 60.0
    heartbeat_seconds: Annotated[
        PositiveFloat, Field(description="How often leases are renewed; how soon a cancelled item stops.")
    ] = 5.0
    max_attempts: Annotated[PositiveInt, Field(description="Attempts at an item before it fails.")] = 3
    analysis_timeout_seconds: Annotated[PositiveFloat, Field(description="Longest time for one item.")] = 1800.0
    stall_timeout_seconds: Annotated[
        PositiveFloat, Field(description="Longest silence of a child process before it is ended.")
    ] = 60.0
    grace_seconds: Annotated[
        PositiveFloat, Field(description="Time that running items get to finish at a shutdown.")
    ] = 20.0
    tolerance_seconds: Annotated[
        PositiveFloat | None, Field(description="Largest offset that counts as in sync; unset, one video frame.")
    ] = None
    spool_dir: Annotated[
        Path | None,
        Field(description="Folder for decoded audio, 230 MB per hour and file; unset, the system's temporary folder."),
    ] = None

    @property
    def attempt_policy(self) -> AttemptPolicy:
        """How long and how often an item is tried."""
        return AttemptPolicy(
            lease_seconds=self.lease_seconds,
            heartbeat_seconds=min(self.heartbeat_seconds, self.lease_seconds / 3),
            max_attempts=self.max_attempts,
            timeout_seconds=self.analysis_timeout_seconds,
        )

    @property
    def worker_policy(self) -> WorkerPolicy:
        """How the worker runs."""
        return WorkerPolicy(slots=self.slots, grace_seconds=self.grace_seconds)

    @model_validator(mode="after")
    def _outlast_attempts(self) -> Self:
        if self.max_receives < 3 * self.max_attempts:
            raise ValueError("SYNC_MAX_RECEIVES must be at least three times SYNC_MAX_ATTEMPTS")
        return self


class WebhookSettings(CommonSettings):
    """What a process that delivers webhooks can be told."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    webhook_secrets: Annotated[
        SecretStr | None,
        Field(description="What webhooks are signed with, blanks between; all sign, so that they can be rotated."),
    ] = None
    aws_webhook_secrets: Annotated[
        str | None, Field(description="Secrets Manager's secret that holds more of them, with the aws back end.")
    ] = None
    webhook_allow_unsigned: Annotated[
        bool, Field(description="Send webhooks without a signature where there is no secret.")
    ] = False
    webhook_allow_private: Annotated[bool, Field(description="Accept webhook receivers on the own network.")] = False
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=30, description="Longest time for one attempt.")] = 15.0

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """The secrets one by one."""
        return parse_secrets(self.webhook_secrets.get_secret_value()) if self.webhook_secrets else ()

    @field_validator("webhook_secrets")
    @classmethod
    def _usable(cls, secrets: SecretStr | None) -> SecretStr | None:
        try:
            parse_secrets(secrets.get_secret_value() if secrets else "")
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        return secrets


def read_settings(kind: type[_Settings], **overrides: object) -> _Settings:
    """Read one process's settings from its environment; an override that is None leaves the environment's value.

    Raises
    ------
    ConfigurationError
        If a setting cannot be used; the message names each variable and what is wrong with it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return kind(**given)  # type: ignore[arg-type]
    except (ValidationError, ValueError) as error:
        raise ConfigurationError(f"These settings cannot be used: {_explain(error)}") from error


def _explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(
        _sentence(problem["loc"], problem["msg"].removeprefix("Value error, ")) for problem in error.errors()
    )


def _sentence(place: tuple[int | str, ...], reason: str) -> str:
    """Name the variable, where the trouble is one variable's."""
    return f"SYNC_{'_'.join(map(str, place)).upper()}: {reason}" if place else reason
