# One image for both roles; the command chooses the role:
#   python -m web.server    the API
#   python -m worker.app    a worker
# Health checks are in docker-compose.yml, since each role has its own.

# Any Debian with Python 3.11 or newer and its venv module will do.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
# The first environment installs; the second is shipped and has no pip.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/clipmill
WORKDIR /source
# Wheels only, each checked against the lock file: no foreign code is run or built here. The lock
# file is complete, so pip does not ask the index for more dependencies.
COPY requirements.lock ./
RUN /build/bin/pip --python /opt/clipmill/bin/python install \
    --require-hashes --no-deps --only-binary :all: -r requirements.lock
COPY requirements-dev.lock ./
# Hatchling and its dependencies, with their hashes; pip stops when one is missing here.
RUN awk '/^[a-z]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' \
    requirements-dev.lock > build.lock \
    && /build/bin/pip install --require-hashes --only-binary :all: -r build.lock
COPY . ./
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/clipmill/bin/python install --no-deps --no-index /wheels/*.whl

FROM ${BASE}
# tini forwards SIGTERM and reaps processes whose parent has ended.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tini \
    && rm -rf /var/lib/apt/lists/*
# A fixed user id, so that folders of the host can be owned by this user. A new volume takes over
# the owner of the folder made here.
RUN groupadd --gid 10001 clipmill \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin clipmill \
    && install -d -o clipmill -g clipmill /data /data/artifacts /data/work /keys
COPY --from=build /opt/clipmill /opt/clipmill
# SAFEPATH: a folder named `web` or `config` in /data must not be imported instead of ours.
ENV PATH=/opt/clipmill/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    CLIPMILL_DATA_DIR=/data
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Clipmill" \
      org.opencontainers.image.description="A self-hosted job-queue system for video: extract, download and clip over REST" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /data
VOLUME /data
EXPOSE 8000
USER 10001:10001
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "web.server"]
