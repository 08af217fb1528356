"""`dify-repack verify FILE`: install a package with the network off, as Dify's daemon does."""

import argparse
import sys
import tempfile
from pathlib import Path

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_local import results
from repack_local.wishes import settings_of
from repack_worker.attempt import working_folder
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.stages import input_limits
from repack_worker.uv_versions import UvVersions
from repack_worker.verify import Bench, verify


async def verify_file(arguments: argparse.Namespace) -> int:
    """Verify one file and return the exit code."""
    if not arguments.file.is_file():
        raise RepackError(Reason.PLUGIN_NOT_FOUND, f"{arguments.file} does not exist.", hint="Name a .difypkg file.")
    async with working_folder(Path(tempfile.gettempdir())) as folder:
        settings = settings_of(folder, arguments)
        bench = Bench(
            interpreter=await find_interpreter(arguments.python, settings=settings),
            isolation=await choose_isolation(settings.isolation),
            timeout_seconds=settings.verify_timeout_seconds,
            say=lambda line: None if arguments.quiet else print(line, file=sys.stderr),
            depth=settings.verify,
            versions=UvVersions(settings, [settings.index_url] if settings.index_url else []),
        )
        plugin, proof = await verify(arguments.file, bench=bench, folder=folder, limits=input_limits(settings))
    if arguments.json:
        results.print_json({"ok": True, "identity": plugin.identity, "verification": proof.wire()})
    else:
        results.print_verification(plugin, proof)
    return 0
