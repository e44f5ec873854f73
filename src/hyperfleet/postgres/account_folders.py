"""A folder that belongs to another account, perhaps: root works in it without being led out of it.

Whoever owns a folder can put a symbolic link in the place of any file in it. So the folder is opened once, every name
is looked up in what was opened, no link is followed, and a file counts only when it is the owner's.
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
"""Bytes that `read` and `tail` return at most; the files that are read here are small."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder; `owner` and `group` are those of whoever owns it."""

    descriptor: int
    owner: int
    group: int

    def names(self) -> set[str]:
        """What is in it."""
        with os.scandir(self.descriptor) as entries:
            return {entry.name for entry in entries}

    def has(self, name: str) -> bool:
        """Whether there is anything of this name, a link that leads nowhere included."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> str:
        """The text of one of the owner's files, empty when there is none."""
        return self._content(name, 0)

    def tail(self, name: str) -> str:
        """The end of such a text."""
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
        """Puts a file of the owner's in this place, for the owner alone to read; whatever was there is replaced."""
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
        """Removes the file, or the folder with everything in it, that has this name, if there is one."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return
        except OSError:
            shutil.rmtree(name, dir_fd=self.descriptor)

    def move(self, name: str, to: "Folder") -> None:
        """Moves an entry to another folder of the same file system."""
        os.rename(name, name, src_dir_fd=self.descriptor, dst_dir_fd=to.descriptor)

    @contextmanager
    def below(self, name: str) -> Iterator["Folder"]:
        """A folder in it; raises OSError when that is anything else, or somebody else's."""
        descriptor = os.open(name, _FOLDER, dir_fd=self.descriptor)
        try:
            yield _checked(descriptor, {self.owner})
        finally:
            os.close(descriptor)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """The folder at this path; raises OSError when there is none, or a link to one."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield _checked(descriptor, None)
    finally:
        os.close(descriptor)


def hand_over(folder: Folder, account: pwd.struct_passwd | None) -> None:
    """Makes an open folder private, and the account's own; raises PermissionError when it is somebody else's."""
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
