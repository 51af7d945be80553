# The API: docker build --file infra/api.Dockerfile --tag sync-analyzer-api .
# To renew the base: docker buildx imagetools inspect python:TAG prints the digest of a tag.
ARG PYTHON=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM ${PYTHON} AS build
ENV PATH=/opt/sync-analyzer/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /build
# Without the code first: what it needs is installed anew only where these files change.
COPY pyproject.toml constraints.txt README.md ./
RUN python -m venv /opt/sync-analyzer \
    && mkdir handlers sync_core \
    && pip install --constraint constraints.txt '.[aws,tracing]'
COPY handlers handlers
COPY sync_core sync_core
RUN pip install --no-deps --force-reinstall .

FROM ${PYTHON}
COPY --from=build /opt/sync-analyzer /opt/sync-analyzer
ENV PATH=/opt/sync-analyzer/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SYNC_DATA_DIR=/data \
    SYNC_LOG_FORMAT=json \
    SYNC_MEDIA_ROOTS='["/mnt/data"]'
RUN install --directory --owner=10001 --group=10001 /data /mnt/data
USER 10001:10001
WORKDIR /mnt/data
# All that is written to; the rest may be read-only.
VOLUME ["/data", "/tmp"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["sync-analyzer", "health", "api"]
ENTRYPOINT ["sync-analyzer"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--workers", "0"]
