"""Who we are at the dashboard."""

from pathlib import Path


def authorization(token_file: Path | None) -> dict[str, str]:
    """Return the header of a request to the dashboard; the token is read each time because it rotates."""
    if not token_file:
        return {}
    return {"Authorization": f"Bearer {token_file.read_text('utf-8').strip()}"}
