"""Pack one plugin in a process of its own and print its peak of memory: `python memory.py PLUGIN FOLDER INDEX`."""

import asyncio
import sys
from pathlib import Path

from ways import packed, peak_memory

from repack_worker.fetch import Fetcher
from repack_worker.settings import Settings


async def main(plugin: Path, folder: Path, index: str) -> None:
    """Pack and print."""
    await asyncio.to_thread((folder / "attempt").mkdir, parents=True)
    settings = Settings(
        work_dir=folder, cache_dir=folder / "cache", max_package_bytes=4 << 30, allow_private_addresses=True
    )
    async with Fetcher(settings) as fetcher:
        await packed(plugin, folder / "attempt", settings, index=index, fetcher=fetcher)
    print(peak_memory())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
