# The gateway as an image: packages and the default embedding model are made in the first stages, the last holds neither what builds that model,
# nor torch, nor pip's leavings, nor the embedded PostgreSQL and Redis, nor any secret. Its packages take 650 MB, its models 30.
# A digest goes behind the tag: --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
FROM ${PYTHON_IMAGE} AS base

FROM base AS build
# One index is asked, the configured one, so that no other can answer for a name.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY requirements.lock ./
COPY deploy/install.py deploy/trim.py deploy/
# Every file is held against the hash in the lock, and none is built here. The embedded services are for trying and testing, and partly
# source-available. Compiled here, since the root file system of the container is read-only.
RUN python -m deploy.install gateway qdrant && python -m compileall -q -j 0 /opt/venv/lib
COPY manage.py ./
COPY gateway_project gateway_project
COPY accounts accounts
COPY plans plans
COPY proxy proxy
COPY stats stats
COPY templates templates
RUN python -m compileall -q -j 0 /app

FROM build AS model
RUN python -m deploy.install export && TOKENTHRIFT_VAR_DIR=/build/var python manage.py prepare_embedder

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
COPY --from=model /build/var/models /app/var/models
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
