# What several dashboards share in the end-to-end tests: Debian's redis-server, as nobody in particular.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
USER 65532:65532
ENTRYPOINT ["redis-server"]
