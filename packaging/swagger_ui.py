"""Downloads Swagger UI from npm and stores the files that the package needs: `python packaging/swagger_ui.py`.

To change the version, set VERSION and INTEGRITY (`npm view swagger-ui-dist@VERSION dist.integrity`), run this script,
and check the page; tests/browser opens it.
"""

import base64
import gzip
import hashlib
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

VERSION: Final = "5.35.0"
INTEGRITY: Final = "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ=="
FOLDER: Final = Path(__file__).parents[1] / "src" / "hyperfleet" / "http" / "description" / "swagger"
COMPRESSED: Final = ("swagger-ui-bundle.js", "swagger-ui.css")
AS_THEY_ARE: Final = ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")

# The page's content security policy blocks source maps, and the package has none.
_SOURCE_MAP: Final = re.compile(rb"\s*(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+\*/)\s*$")


def fetch(into: Path = FOLDER) -> None:
    """Writes the files. Raises ValueError when the integrity hash of the package does not match."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ("npm", "pack", "--silent", f"swagger-ui-dist@{VERSION}")
        subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        archive = Path(scratch) / f"swagger-ui-dist-{VERSION}.tgz"
        found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != INTEGRITY:
            raise ValueError(f"{archive.name} is {found}, not {INTEGRITY}")
        with tarfile.open(archive) as package:
            for name in (*COMPRESSED, *AS_THEY_ARE):
                member = package.extractfile(f"package/{name}")
                assert member is not None
                content = member.read()
                if name in COMPRESSED:
                    packed = gzip.compress(_SOURCE_MAP.sub(b"\n", content), 9, mtime=0)
                    (into / f"{name}.gz").write_bytes(packed)
                else:
                    (into / name).write_bytes(content)


if __name__ == "__main__":
    fetch()
