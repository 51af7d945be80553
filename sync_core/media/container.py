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
from sync_core.media.files import looks_like_media

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


def open_container(path: Path, name: str) -> InputContainer:
    """Open a resolved file.

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
    try:
        # As `options` they would also go to the streams, and PyAV 17.0.1 crashes there on FLV and MPEG, whose streams
        # show up late. "file:" keeps a name that begins like a protocol from being taken for one.
        return av.open(f"file:{path}", container_options=dict(_OPTIONS), metadata_errors="replace")
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise _refusal(error, path, name) from error


def _refusal(error: Exception, path: Path, name: str) -> SyncError:
    if isinstance(error, MemoryError):
        return OutOfMemory(f"{name} could not be opened: out of memory")
    try:
        is_media = looks_like_media(path)
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
