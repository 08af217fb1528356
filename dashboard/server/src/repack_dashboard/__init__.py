"""The dashboard's server: REST, ingest, the ordered event log, logs, artifacts and the WebSocket."""
