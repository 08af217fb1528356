# Images of dify-repack: `operator`, `worker`, `worker-build` (the worker with compilers) and `dashboard`.
#
#   docker build --target worker -t dify-repack/worker .
#
# Pin the bases by digest where builds must be repeatable to the byte: --build-arg PYTHON_IMAGE=…@sha256:…
# What each image adds to its base, and why: docs/images.md.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG NODE_IMAGE=node:24-bookworm-slim

# --- the page -------------------------------------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS web
WORKDIR /src/dashboard/web
COPY dashboard/web/package.json dashboard/web/package-lock.json dashboard/web/.npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY dashboard/web ./
# Types are checked by `make lint`, with the tests that stand outside of this folder.
RUN npx vite build --logLevel warn && npm run --silent build:client

# --- Python: tools, our wheel, then one environment per image ----------------------------------------------------------
FROM ${PYTHON_IMAGE} AS tools
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 VIRTUAL_ENV=/opt/dify-repack SITE=/opt/dify-repack/lib/python3.12/site-packages
WORKDIR /src
COPY images/build.lock images/
RUN python -m pip install --quiet --no-cache-dir --root-user-action=ignore --disable-pip-version-check \
      --require-hashes -r images/build.lock

FROM tools AS wheel
COPY pyproject.toml README.md LICENSE ./
COPY operator/src operator/src
COPY dashboard/server/src dashboard/server/src
RUN uv build --quiet --wheel --no-build-isolation --out-dir /dist

# Each: what the lock says, then our code without the parts that another image runs; both compiled.
FROM tools AS operator-environment
COPY images/operator.lock images/slim_kubernetes.py images/
RUN uv venv --quiet $VIRTUAL_ENV \
 && uv pip install --quiet --require-hashes -r images/operator.lock \
 && python images/slim_kubernetes.py $SITE \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash $SITE
COPY --from=wheel /dist /dist
RUN uv pip install --quiet --no-deps /dist/*.whl \
 && rm -r $SITE/repack_worker $SITE/repack_dashboard $SITE/repack_local $SITE/repack_objects $VIRTUAL_ENV/bin/dify-repack \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash $SITE/repack_* \
 && $VIRTUAL_ENV/bin/python -c "import repack_operator.__main__"

FROM tools AS worker-environment
COPY images/worker.lock images/
RUN uv venv --quiet $VIRTUAL_ENV \
 && uv pip install --quiet --require-hashes -r images/worker.lock \
 && rm $VIRTUAL_ENV/bin/uvx \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash $SITE
COPY --from=wheel /dist /dist
RUN uv pip install --quiet --no-deps /dist/*.whl \
 && rm -r $SITE/repack_operator $SITE/repack_dashboard $SITE/repack_local $SITE/repack_kube $VIRTUAL_ENV/bin/dify-repack \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash $SITE/repack_* \
 && $VIRTUAL_ENV/bin/python -c "import repack_worker.job, uv; uv.find_uv_bin()"

FROM tools AS dashboard-environment
COPY images/dashboard.lock images/slim_kubernetes.py images/
RUN uv venv --quiet $VIRTUAL_ENV \
 && uv pip install --quiet --require-hashes -r images/dashboard.lock \
 && python images/slim_kubernetes.py $SITE \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash $SITE
COPY --from=wheel /dist /dist
RUN uv pip install --quiet --no-deps /dist/*.whl \
 && rm -r $SITE/repack_operator $SITE/repack_worker $SITE/repack_local $VIRTUAL_ENV/bin/dify-repack \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash $SITE/repack_* \
 && $VIRTUAL_ENV/bin/python -c "import repack_dashboard.__main__"

# --- what all images share --------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS base
ARG VERSION=0.1.0
ARG REVISION=unknown
# The account of every Pod; its number is what Kubernetes checks (runAsNonRoot). The standard library is compiled here,
# because at run time nothing can be written beside it and every start would compile it again.
RUN groupadd --gid 65532 repack \
 && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin repack \
 && python -m compileall -q -j 0 -x '/(test|idlelib|lib2to3|tkinter|turtledemo|ensurepip|site-packages)/' \
      --invalidation-mode unchecked-hash /usr/local/lib/python3.12
ENV PATH=/opt/dify-repack/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="dify-repack" \
      org.opencontainers.image.description="Repackages Dify plugins for closed networks and proves that they install offline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 65532:65532

FROM base AS operator
COPY --from=operator-environment /opt/dify-repack /opt/dify-repack
EXPOSE 8081
CMD ["python", "-m", "repack_operator"]

FROM base AS worker
COPY --from=worker-environment /opt/dify-repack /opt/dify-repack
# Plugins are verified with this very interpreter, and never with one that was fetched meanwhile.
ENV REPACK_PYTHON=/usr/local/bin/python3.12 REPACK_PYTHON_DOWNLOAD=false
WORKDIR /work
CMD ["python", "-m", "repack_worker"]

FROM worker AS worker-build
USER root
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      build-essential git libffi-dev libssl-dev pkg-config >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/log/*
USER 65532:65532

FROM base AS dashboard
COPY --from=dashboard-environment /opt/dify-repack /opt/dify-repack
COPY --from=web /src/dashboard/server/src/repack_dashboard/static /opt/dify-repack/page
ENV REPACK_DASHBOARD_STATIC_DIR=/opt/dify-repack/page \
    REPACK_DASHBOARD_HOST=0.0.0.0 \
    REPACK_DASHBOARD_DATA_DIR=/data
EXPOSE 8080
CMD ["python", "-m", "repack_dashboard"]
