"""Opening containers: which kinds, over which protocol, and what their refusal means."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from sync_core.domain.errors import (
    MediaCorrupt,
    MediaNotFound,
    MediaUnsupported,
    OutOfMemory,
    StorageUnavailable,
    SyncError,
)
from sync_core.media.files import is_wav, looks_like_media
from sync_core.media.remote_file import BUFFER_BYTES, RemoteFile

_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,dtshd,dv,eac3,flac,flv,gxf,loas,lxf,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,mxf,nut,oga,ogg,rm,tak,truehd,tta,voc,w64,wav,webm,wv"
)
"""All that is opened. Playlists and the like (hls, dash, concat, image sequences) are left out: they make FFmpeg read
other files and addresses."""

_OPTIONS = {
    "format_whitelist": _DEMUXERS,
    "protocol_whitelist": "file",
    "probesize": "20000000",
    "analyzeduration": "20000000",
}
"""Streams are looked for in the first 20 MB or 20 s, so that audio which starts late in a transport stream is found."""

_WAV_OPTIONS = {"max_size": "131072", "max_probe_packets": "2"}
"""WAV is read in packets of 128 kB: with FFmpeg's 16 kB a third of the time went into what each packet costs. Two of
them tell whether what is there is DTS, if it begins within 1.5 s at CD rates; FFmpeg's 2500 take 12 ms more."""


def open_container(file: Path | RemoteFile, name: str) -> InputContainer:
    """Open a resolved or remote file.

    Parameters
    ----------
    name
        What messages call the file: the path as the caller gave it.

    Raises
    ------
    MediaUnsupported
        If it is not media, or of a kind that is not read here.
    MediaCorrupt
        If it begins like media but cannot be opened.
    """
    # "file:" keeps a name that begins like a protocol from being taken for one.
    source = f"file:{file}" if isinstance(file, Path) else file
    try:
        # As `options` they would also go to the streams, and PyAV 17.0.1 crashes there on FLV and MPEG, whose streams
        # show up late.
        container = av.open(
            source, "r", container_options=_options(file), metadata_errors="replace", buffer_size=BUFFER_BYTES
        )
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise _refusal(error, file, name) from error
    if isinstance(file, RemoteFile):
        file.raise_failure()
    return container


def _options(file: Path | RemoteFile) -> dict[str, str]:
    is_local_wav = isinstance(file, Path) and is_wav(file)
    return {**_OPTIONS, **(_WAV_OPTIONS if is_local_wav else {})}


def _refusal(error: Exception, file: Path | RemoteFile, name: str) -> SyncError:
    if isinstance(error, MemoryError):
        return OutOfMemory(f"{name} could not be opened: out of memory")
    try:
        is_media = looks_like_media(file)
    except FileNotFoundError:
        return MediaNotFound(f"{name} does not exist any more; check that nobody moves it while it is read")
    except OSError as failure:  # FFmpeg's own "Input/output error" may mean damage just as well
        return StorageUnavailable(f"{name} could not be read: {failure.strerror}; the storage may be back later")
    if is_media:
        return MediaCorrupt(
            f"{name} is damaged at its start or was cut off: 0 s of it could be read; copy or export it again"
        )
    return MediaUnsupported(
        f"{name} is not an audio or video file of a kind that is read here; export it as WAV or MOV"
    )
