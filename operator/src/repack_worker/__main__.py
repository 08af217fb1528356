"""`python -m repack_worker`, what a Job runs. What it does is in `job.py`."""

import sys

from repack_contract import descriptions


def main() -> int:
    """Do the work and return the exit code."""
    descriptions.leave_out()  # before any model is made: a Job shows no schema
    from repack_worker.job import main as work  # noqa: PLC0415

    return work()


if __name__ == "__main__":
    sys.exit(main())
