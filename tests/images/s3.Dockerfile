# What speaks S3 in the end-to-end tests: the server that `make servers` installs, as nobody in particular.
FROM python:3.12-slim
COPY servers.lock /servers.lock
RUN pip install --no-cache-dir --require-hashes -r /servers.lock
USER 65532:65532
ENTRYPOINT ["python", "-m", "moto.server", "-H", "0.0.0.0", "-p", "5000"]
