"""`python -m dev.issuer FOLDER [FLAGS]`: a token issuer for development, with a new key that is not stored.

Writes its public keys, a configuration that trusts them, and a token to the folder. Anyone who can read the token may
do everything on a service with that configuration for a week. FLAGS are those of the service, so that the printed
commands have its address.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from hyperfleet.model.rules.permission import ADMINISTRATORS

ISSUER: Final = "http://localhost/development"
IDENTITY: Final = "developer@localhost"
SECONDS: Final = 7 * 86_400
KEYS: Final = "keys.json"
CONFIGURATION: Final = "config.yaml"
TOKEN: Final = "token"


def write(folder: Path) -> None:
    """Writes the three files, readable by their owner only; replaces earlier ones."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"development-{time.time_ns()}"
    public: dict[str, Any] = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    published = {"keys": [public | {"kid": name, "alg": "ES256", "use": "sig"}]}
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": IDENTITY,
        "email": IDENTITY,
        "typ": "Bearer",
        "groups": [ADMINISTRATORS],
        "iat": now,
        "exp": now + SECONDS,
    }
    token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": name})
    entry = {"issuer_url": ISSUER, "jwk_cert_file": str(folder.absolute() / KEYS)}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(folder / KEYS, json.dumps(published))
    _write(folder / CONFIGURATION, yaml.safe_dump({"server": {"jwt": {"enabled": True, "configs": [entry]}}}))
    _write(folder / TOKEN, token)


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def main() -> None:
    """Writes the files and prints how to use them."""
    folder, given = Path(sys.argv[1]), sys.argv[2:]
    write(folder)
    token = folder / TOKEN
    url = _address(folder / CONFIGURATION, given)
    if url is None:
        # The service itself will report what is wrong with the flags.
        return
    print(
        f"Requests require a token. {token} has one for {IDENTITY}, valid for a week:\n\n"
        f'  curl -H "Authorization: Bearer $(cat {token})" {url}/api/hyperfleet/v1/clusters\n'
        f'  ocm login --token="$(cat {token})" --url={url}\n',
        flush=True,
    )


def _address(file: Path, given: Sequence[str]) -> str | None:
    """The URL of a service with this configuration and these flags; None when they are invalid."""
    command = [sys.executable, "-m", "hyperfleet", "config", "--config", str(file), *given]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    if printed.returncode != 0:
        return None
    server = yaml.safe_load(printed.stdout)["server"]
    host = "localhost" if server["host"] in ("0.0.0.0", "::") else server["host"]
    return f"http{'s' if server['tls']['enabled'] else ''}://{f'[{host}]' if ':' in host else host}:{server['port']}"


if __name__ == "__main__":
    main()
