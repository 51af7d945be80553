"""Decoding the audio of a file to mono blocks at the analysis rate, on the file's own time axis.

Time zero is the start of the file's video stream if it has one, else its first decoded sample. Priming that a container
says to drop is dropped (edit lists, encoder delays of MP3, Opus, Vorbis); what it does not say stays, as in any player:
raw AAC begins with 1024 samples of it, raw AC-3 with 256.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from sync_core.domain.errors import MediaCorrupt, MediaError, NoAudio, TooShort
from sync_core.domain.result import MediaInfo
from sync_core.media import probe
from sync_core.media.audio_index import audio_plan
from sync_core.media.container import open_container
from sync_core.media.damage import Damage
from sync_core.media.files import missing_wav_bytes
from sync_core.media.gather import BLOCK_SECONDS, Gatherer, Planes
from sync_core.media.packets import decoded_frames
from sync_core.media.remote_file import RemoteFile
from sync_core.media.resample import ANALYSIS_RATE_HZ
from sync_core.media.rows import RowMaker
from sync_core.media.timeline import Timeline

MINIMUM_SECONDS = 1.5
"""The shortest overlap that can be compared."""
_MISSING_SECONDS = 1.0
"""So much less than announced is damage; encoders' announcements are off by some frames."""
_EXACT_CONTAINERS = frozenset({"wav", "w64", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mxf", "aiff", "caf"})
"""Where the announced duration is not an estimate from the bit rate."""
_BARE_STREAMS = frozenset({"aac", "ac3", "dts", "eac3", "loas", "mlp", "mp3", "truehd"})
_FARTHEST_START_SECONDS = 3600.0
_SAMPLE_COUNTING = frozenset({"wav", "w64", "mov,mp4,m4a,3gp,3g2,mj2", "aiff", "caf"})
_RUN_UP_SECONDS = 0.25
_SPAN_GAP_SECONDS = 0.001


class AudioReader:
    """One audio stream of a file, decoded from start to end. Use as a context manager.

    Parameters
    ----------
    file
        A resolved, regular file, or a remote one.
    name
        What messages call the file: the path as the caller gave it.
    stream
        Which audio stream, counted from 0; None: the first that is not commentary.
    channel
        Which channel, counted from 0; None: a downmix.
    per_channel
        Give every channel a row of its own after the downmix.

    Raises
    ------
    MediaError
        If the file cannot be opened, has no such audio, or none of it can be decoded.
    """

    def __init__(
        self,
        file: Path | RemoteFile,
        name: str,
        *,
        stream: int | None = None,
        channel: int | None = None,
        per_channel: bool = False,
    ) -> None:
        self._name = name
        self._channel = channel
        self._damage = Damage()
        self._given_seconds = 0.0
        self._per_channel = per_channel
        self._file = file
        self._container = open_container(file, name)
        try:
            self._open(stream)
        except BaseException:
            self._container.close()
            raise

    def _open(self, wanted: int | None) -> None:
        self._stream = probe.choose_stream(self._container, wanted, self._name)
        self._video = probe.programme_video(self._container)
        self._announced = probe.announced_seconds(self._container, self._stream) or 0.0
        self._announced_exactly = self._container.format.name in _EXACT_CONTAINERS
        self._missing_bytes = missing_wav_bytes(self._file)
        self._plan_fetches()
        frames = decoded_frames(self._container, self._stream, self._damage)
        first = next(frames, None)
        self._raise_read_failure()
        if first is None:
            raise self._nothing_decoded()
        self._check_channel(first)
        self._frames = chain([first], frames)
        tick_seconds = float(self._stream.time_base or 0)
        self._first_seconds = (first.pts or 0) * tick_seconds
        self._timeline = self._make_timeline(first, tick_seconds)
        self.channels = tuple(channel.name for channel in first.layout.channels)
        self.info = self._describe(first, tick_seconds)

    def _raise_read_failure(self) -> None:
        """Raise what reading a remote file met, which FFmpeg may have taken for the end of the file."""
        if isinstance(self._file, RemoteFile):
            self._file.raise_failure()

    def _plan_fetches(self) -> None:
        """Have only the chosen stream fetched, where the container tells where that lies."""
        if isinstance(self._file, RemoteFile):
            plan = audio_plan(self._container, self._stream, file_bytes=self._file.size_bytes)
            if plan is not None:
                self._file.follow(plan)

    def _make_timeline(self, first: AudioFrame, tick_seconds: float) -> Timeline:
        start = (first.pts or 0) * tick_seconds
        return Timeline(
            self._damage,
            tick_seconds=tick_seconds,
            end_seconds=start + self._announced + _MISSING_SECONDS,
            counted_at_hz=first.sample_rate if self._container.format.name in _BARE_STREAMS else None,
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def start_seconds(self) -> float:
        """Time of the first sample after the file's time zero; negative if the audio starts before the video."""
        return self.info.start_seconds

    @property
    def fraction_read(self) -> float:
        """How much of the announced duration `blocks` has given, 0 to 1; 0 if none was announced."""
        return min(self._given_seconds / self._announced, 1.0) if self._announced else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Decode on, once.

        Yields
        ------
        block : [shape=(rows, n), float32, 1.0 = full scale]
            16 kHz, about 2 s. Row 0 is the downmix or the chosen channel; with `per_channel`, row 1 + k is channel k.
            Gaps in the timestamps are zeros, samples that are no numbers are 0. At the end, `info` tells the duration
            and what was survived.

        Raises
        ------
        MediaCorrupt
            If damage left less than 1.5 s.
        TooShort
            If an undamaged file is shorter than that.
        MemoryError
            If the decoder ran out of it.
        """
        for block in self._rows():
            self._given_seconds += block.shape[1] / ANALYSIS_RATE_HZ
            yield block
        self._raise_read_failure()
        self._finish()

    @property
    def finds_times(self) -> bool:
        """Whether `spans` can go to any time exactly: the container counts samples, and the file is at hand."""
        return self._container.format.name in _SAMPLE_COUNTING and isinstance(self._file, Path)

    def spans(self, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Decode parts of the stream instead of all of it.

        Parameters
        ----------
        wanted
            Whole seconds after the first sample, [start, stop), in order and apart.

        Yields
        ------
        sample, block : [shape=(n,), float32]
            As row 0 of `blocks`, and where it begins, in samples at 16 kHz after the stream's first. Of a part with a
            gap in the timestamps what lies before the gap.
        """
        maker: RowMaker | None = None
        for start, stop in wanted:
            sample = start * ANALYSIS_RATE_HZ
            for piece in self._span(self._first_seconds + start, self._first_seconds + stop):
                if maker is None or not maker.fits(piece):
                    maker = RowMaker(piece, self._channel, 0)
                block = maker.push(piece.samples)[0]
                yield sample, block
                sample += block.size
            if maker:
                yield sample, maker.flush()[0]

    def _span(self, begin: float, end: float) -> Iterator[Planes]:
        """Decode from one time of the stream's clock to another; a little before, for decoders that need a run-up."""
        tick_seconds = float(self._stream.time_base or 0)
        self._container.seek(
            round(max(begin - _RUN_UP_SECONDS, self._first_seconds) / tick_seconds), stream=self._stream
        )
        gatherer = Gatherer(self._damage)
        at = begin
        for frame in decoded_frames(self._container, self._stream, self._damage):
            time = (frame.pts or 0) * tick_seconds
            ends = time + frame.samples / frame.sample_rate
            if ends <= begin:
                continue
            if time >= end or time > at + _SPAN_GAP_SECONDS:
                break
            yield from gatherer.push(frame, max(round((begin - time) * frame.sample_rate), 0))
            at = ends
        yield from gatherer.flush()

    def _rows(self) -> Iterator[NDArray[np.float32]]:
        maker: RowMaker | None = None
        for piece in self._pieces():
            if maker is None or not maker.fits(piece):
                if maker:
                    yield maker.flush()
                maker = RowMaker(piece, self._channel, len(self.channels) if self._per_channel else 0)
            yield maker.push(piece.samples)
        if maker:
            yield maker.flush()

    def _pieces(self) -> Iterator[Planes]:
        gatherer = Gatherer(self._damage)
        for frame, silence_seconds, skip_seconds in self._timeline.place(self._frames):
            if silence_seconds:
                yield from gatherer.flush()
                yield from _silence(frame, silence_seconds)
            yield from gatherer.push(frame, round(skip_seconds * frame.sample_rate) if skip_seconds else 0)
        yield from gatherer.flush()

    def _finish(self) -> None:
        self._note_missing_end()
        duration = self._given_seconds
        told = self._damage.sentences()
        fetched = self._file.fetched if isinstance(self._file, RemoteFile) else None
        self.info = replace(self.info, duration_seconds=round(duration, 6), warnings=told, fetched=fetched)
        if duration >= MINIMUM_SECONDS:
            return
        if self._damage.any_loss:
            raise MediaCorrupt(
                f"{self._name} is damaged ({'; '.join(told)}): only {duration:.2f} s of it could be read"
            )
        raise TooShort(f"{self._name} holds {duration:.2f} s of audio; at least {MINIMUM_SECONDS} s are needed")

    def _note_missing_end(self) -> None:
        if self._damage.ended_early:
            return
        read = f"the file ends after {self._given_seconds:.2f} s"
        if self._missing_bytes:
            self._damage.ended_early = f"{read}, and {self._missing_bytes} bytes that its header announces are missing"
        elif self._announced_exactly and self._announced - self._given_seconds > _MISSING_SECONDS:
            self._damage.ended_early = f"{read} although it announces {self._announced:.2f} s"

    def _nothing_decoded(self) -> MediaError:
        stream = f"the audio stream of {self._name}"
        if self._damage.any_loss or self._missing_bytes:
            return MediaCorrupt(f"{stream} is damaged: 0 s of it could be decoded; copy or export the file again")
        return TooShort(f"{stream} is empty (0 s of audio); choose another with #a:1 or name another file")

    def _check_channel(self, first: AudioFrame) -> None:
        count = first.layout.nb_channels
        if self._channel is not None and self._channel >= count:
            raise NoAudio(f"{self._name} has no channel {self._channel}: it has {count}, counted from 0")

    def _start_seconds(self, first: AudioFrame, tick_seconds: float) -> float:
        zero = probe.video_start_seconds(self._video)
        if zero is None and self._damage.undecodable and self._stream.start_time is not None:
            zero = self._stream.start_time * tick_seconds  # the first decoded sample is not the first one
        if zero is None or first.pts is None:
            return 0.0
        start = first.pts * tick_seconds - zero
        if abs(start) > _FARTHEST_START_SECONDS:
            self._damage.other(
                f"the audio claims to start {start:.0f} s from the video; both were taken to start together"
            )
            return 0.0
        return start

    def _describe(self, first: AudioFrame, tick_seconds: float) -> MediaInfo:
        rate = probe.frame_rate(self._video)
        return MediaInfo(
            path=self._name,
            duration_seconds=round(self._announced or 0.0, 6),
            container=self._container.format.name,
            streams=probe.describe_streams(self._container),
            stream_index=self._container.streams.audio.index(self._stream),
            channel="mix" if self._channel is None else f"ch:{self._channel}",
            channels=first.layout.nb_channels,
            sample_rate_hz=first.sample_rate,
            start_seconds=self._start_seconds(first, tick_seconds),
            frame_rate=str(rate) if rate else None,
            start_timecode=probe.start_timecode(self._container),
            warnings=self._damage.sentences(),
        )


def _silence(frame: AudioFrame, seconds: float) -> Iterator[Planes]:
    """Yield zeros in the shape of a frame, in blocks."""
    channels = tuple(channel.name for channel in frame.layout.channels)
    left = round(seconds * frame.sample_rate)
    block = round(BLOCK_SECONDS * frame.sample_rate)
    while left > 0:
        yield Planes(np.zeros((len(channels), min(left, block)), np.float32), frame.sample_rate, channels)
        left -= block
