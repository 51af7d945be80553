# A worker for machines with an NVIDIA GPU; without one it runs on the CPU.
#   docker build --file infra/worker.Dockerfile --tag sync-analyzer-worker .       with the models in it
#   ... --target worker       without: mount a folder of `sync-analyzer models pull` at /models
#   ... --target emulator     the whole service on an emulator of AWS, which ends with the container
# CUDA's runtime comes with PyTorch, in the versions that it was built for; of the machine only the driver is used.
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
    && pip install --constraint constraints.txt '.[ai,aws,tracing]' \
    && python -c 'import torch; assert torch.version.cuda, "this PyTorch was built without CUDA"'
COPY handlers handlers
COPY sync_core sync_core
RUN pip install --no-deps --force-reinstall .

FROM build AS models
RUN sync-analyzer models pull wav2vec2 --model-dir /models \
    && sync-analyzer models pull yamnet --model-dir /models \
    && sync-analyzer models verify --model-dir /models

FROM build AS build-emulator
RUN pip install --constraint constraints.txt '.[ai,aws-local,tracing]'
# where `--local` looks for it: beside the packages
COPY template.yaml /opt/sync-analyzer/lib/python3.11/site-packages/

FROM ${PYTHON} AS worker
COPY --from=build /opt/sync-analyzer /opt/sync-analyzer
ENV PATH=/opt/sync-analyzer/bin:$PATH \
    HOME=/tmp \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SYNC_DATA_DIR=/data \
    SYNC_LOG_FORMAT=json \
    SYNC_MEDIA_ROOTS='["/mnt/data"]' \
    SYNC_MODEL_DIR=/models \
    SYNC_SPOOL_DIR=/tmp
RUN install --directory --owner=10001 --group=10001 /data /mnt/data /models
USER 10001:10001
WORKDIR /mnt/data
# All that is written to; the rest may be read-only.
VOLUME ["/data", "/tmp"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=20s --start-period=120s --retries=3 CMD ["sync-analyzer", "health", "worker"]
ENTRYPOINT ["sync-analyzer"]
CMD ["worker"]

FROM worker AS emulator
COPY --from=build-emulator /opt/sync-analyzer /opt/sync-analyzer
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 CMD ["sync-analyzer", "health", "api"]
CMD ["serve", "--backend", "aws", "--local", "--host", "0.0.0.0", "--port", "8000"]

FROM worker AS worker-with-models
COPY --from=models /models /models
