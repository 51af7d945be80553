"""Open the back end that the settings name."""

from __future__ import annotations

from handlers.settings import CommonSettings
from sync_core.backends.embedded.open import open_backend
from sync_core.jobs.ports.backend import Backend


def open_configured(settings: CommonSettings) -> Backend:
    """Open the back end; the caller closes it.

    Raises
    ------
    ConfigurationError
        If it cannot be opened.
    """
    return open_backend(settings.data_dir, max_receives=settings.max_receives)
