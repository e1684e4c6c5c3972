# The gateway as an image: dependencies and the exported embedding model are made in the first stage, the second holds neither pip's leavings,
# nor the embedded PostgreSQL and Redis, nor any secret.
# A digest goes behind the tag: --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
FROM ${PYTHON_IMAGE} AS base
# libgomp1: the threads of onnxruntime and torch
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

FROM base AS build
# Each pip asks one index, so that no other can answer for a name: the configured one, and for torch alone, where it is named, this one.
# torch's own index has CPU builds; elsewhere it brings gigabytes of GPU libraries along.
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY requirements.txt requirements.lock constraints.txt ./
# Every file is held against the hash in the lock, and none is built here; torch alone comes without a hash (the lock says why).
# The embedded services and what follows them in the lock are for trying and testing, and partly AGPL or source-available.
RUN sed '/^# Embedded services/,$d' requirements.lock > image.lock \
    && pip install --require-hashes --no-deps --only-binary :all: -r image.lock \
    && torch=$(grep '^torch==' requirements.txt) \
    && if [ -n "$TORCH_INDEX" ]; then pip install --no-deps --index-url "$TORCH_INDEX" "$torch"; \
       else pip install --constraint constraints.txt "$torch"; fi
COPY manage.py ./
COPY gateway_project gateway_project
COPY accounts accounts
COPY plans plans
COPY proxy proxy
COPY stats stats
COPY templates templates
# what this command writes beside the model stays in this stage
RUN TOKENTHRIFT_VAR_DIR=/build/var python manage.py prepare_embedder

FROM base
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tokenthrift \
    && install -d -o tokenthrift -g tokenthrift -m 0700 /app/var/run /var/spool/tokenthrift
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app/manage.py /app/manage.py
COPY --from=build /app/gateway_project /app/gateway_project
COPY --from=build /app/accounts /app/accounts
COPY --from=build /app/plans /app/plans
COPY --from=build /app/proxy /app/proxy
COPY --from=build /app/stats /app/stats
COPY --from=build /app/templates /app/templates
COPY --from=build /build/var/models /app/var/models
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    TOKENTHRIFT_HOST=0.0.0.0 TOKENTHRIFT_VAR_DIR=/app/var TOKENTHRIFT_SPOOL_DIR=/var/spool/tokenthrift TOKENTHRIFT_ENV_FILE=/dev/null
WORKDIR /app
USER tokenthrift
VOLUME /var/spool/tokenthrift
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=3)"]
ENTRYPOINT ["python", "manage.py"]
CMD ["serve"]
