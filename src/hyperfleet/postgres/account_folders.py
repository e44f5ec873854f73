"""Safe work in a folder of another account: root cannot be lured out of it.

The owner of a folder can replace any file in it with a symbolic link. So the folder is opened once, every name is
resolved relative to the open folder, no link is followed, and only files of the owner are read.
"""

import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LARGEST_FILE: Final = 64 * 1024
"""The most bytes that `read` and `tail` return; the files read here are small."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder, with the ids of its owner and group."""

    descriptor: int
    owner: int
    group: int

    def names(self) -> set[str]:
        """The names of its entries."""
        with os.scandir(self.descriptor) as entries:
            return {entry.name for entry in entries}

    def has(self, name: str) -> bool:
        """Whether an entry of this name exists; a broken link counts."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> str:
        """The text of a file, empty if it does not exist or is not the owner's."""
        return self._content(name, 0)

    def tail(self, name: str) -> str:
        """The end of a file's text, under the same conditions as `read`."""
        return self._content(name, LARGEST_FILE)

    def _content(self, name: str, from_end: int) -> str:
        try:
            descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=self.descriptor)
        except OSError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != self.owner:
                return ""
            if from_end:
                file.seek(max(0, found.st_size - from_end))
            return file.read(LARGEST_FILE).decode(errors="replace")

    def write(self, name: str, text: str) -> None:
        """Writes a file that belongs to the owner and only the owner can read; replaces any entry of this name."""
        new = f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=self.descriptor)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                if os.geteuid() != self.owner:
                    os.fchown(descriptor, self.owner, self.group)
                file.write(text)
            os.rename(new, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except BaseException:
            self.remove(new)
            raise

    def remove(self, name: str) -> None:
        """Removes the file of this name, or the folder with its content; does nothing if there is none."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return
        except OSError:
            shutil.rmtree(name, dir_fd=self.descriptor)

    def move(self, name: str, to: "Folder") -> None:
        """Moves an entry to another folder on the same file system."""
        os.rename(name, name, src_dir_fd=self.descriptor, dst_dir_fd=to.descriptor)

    @contextmanager
    def below(self, name: str) -> Iterator["Folder"]:
        """Opens a subfolder; raises OSError if the name is not a folder, or the folder has another owner."""
        descriptor = os.open(name, _FOLDER, dir_fd=self.descriptor)
        try:
            yield _checked(descriptor, {self.owner})
        finally:
            os.close(descriptor)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Opens the folder at this path; raises OSError if there is none, or if the path is a link."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield _checked(descriptor, None)
    finally:
        os.close(descriptor)


def hand_over(folder: Folder, account: pwd.struct_passwd | None) -> None:
    """Makes an open folder private to the account; raises PermissionError if another account owns it."""
    uid, gid = (account.pw_uid, account.pw_gid) if account else (os.geteuid(), os.getegid())
    if folder.owner not in {uid, os.geteuid()}:
        raise PermissionError(1, f"it is owned by user id {folder.owner}")
    if folder.owner != uid:
        os.fchown(folder.descriptor, uid, gid)
    os.fchmod(folder.descriptor, 0o700)


def _checked(descriptor: int, owners: set[int] | None) -> Folder:
    found = os.fstat(descriptor)
    if owners is not None and found.st_uid not in owners:
        raise PermissionError(1, f"it is owned by user id {found.st_uid}")
    return Folder(descriptor, found.st_uid, found.st_gid)
