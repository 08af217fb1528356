"""`python -m repack_local`, or `dify-repack up`: everything on this machine until Ctrl-C."""

import asyncio
import signal
import sys

from pydantic import ValidationError

from repack_contract.errors import RepackError
from repack_local.mode import LocalMode
from repack_local.settings import Settings

_BANNER = """dify-repack, without a cluster: for one machine and for trying out

  page         {page}/
  kubectl      export KUBECONFIG={kubeconfig}
  files        {home}

Ctrl-C ends everything; tasks and packages stay.
"""


async def run(settings: Settings) -> int:
    """Run until Ctrl-C or SIGTERM, then end every program in order."""
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with LocalMode(settings) as mode:
        sys.stdout.write(_BANNER.format(page=mode.page_url, kubeconfig=mode.kubeconfig, home=settings.home))
        sys.stdout.flush()
        await stop.wait()
    sys.stdout.write("Ended.\n")
    return 0


def main() -> int:
    """Read the settings and run; a fault is told in words, without a trace."""
    try:
        return asyncio.run(run(Settings()))
    except ValidationError as error:
        for problem in error.errors():
            where = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"dify-repack: REPACK_LOCAL_{where}: {problem['msg']}\n")
        return 2
    except RepackError as error:
        sys.stderr.write(f"dify-repack: {error.message}\n  {error.hint}\n")
        return error.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
