"""The command `dify-repack`: pack, plan and verify plugins without a cluster, or start everything here (`up`).

Each command imports what it needs and when it needs it: of a pack with warm caches imports are most of the time.
"""

import gc
from collections.abc import Sequence

from repack_local.arguments import check_arguments, completion, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    line = parser()
    arguments = line.parse_args(argv)
    check_arguments(line, arguments)
    if arguments.command == "completion":
        print(completion(line, arguments.shell))
        return 0
    if arguments.command == "up":
        from repack_local.__main__ import main as up  # noqa: PLC0415

        return up()
    gc.disable()  # until all is imported: that stays, and to look through it again and again takes time
    from repack_local.running import run  # noqa: PLC0415

    return run(arguments)
