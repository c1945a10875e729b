"""ext4 images mounted through loop devices. Standard library only, see `kernel`."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from typing import Final

from sandbox.workspace import kernel

_LOOP_SET_FD: Final = 0x4C00
_LOOP_SET_STATUS64: Final = 0x4C04
_LOOP_GET_STATUS64: Final = 0x4C05
_LOOP_CONFIGURE: Final = 0x4C0A
_LOOP_CTL_GET_FREE: Final = 0x4C82
_LO_FLAGS_AUTOCLEAR: Final = 4
_LOOP_INFO: Final = "=QQQQQIIII64s64s32sQQ"
"""struct loop_info64: device inode rdevice offset sizelimit number encrypt_type key_size flags name crypt key init."""
_BLOCK_BYTES: Final = 4096
_FITRIM: Final = 0xC0185879
_OPTIONS: Final = b"errors=remount-ro,noinit_itable"
"""The inode tables of a fresh image are zeros already: the kernel need not write them in the background."""


def attach_image(image: str, target: str) -> None:
    """Mount the ext4 image at `target` through a loop device that goes with the mount. Idempotent.

    Two loop devices on one image would destroy it, so one that has the image already (a mount that
    somebody still holds) is used again. Preconditions: nobody else attaches this image now.
    """
    if kernel.mount_at(target) is not None:
        return
    image_fd = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(image_fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", image)
        loop_fd, device = _loop_of(image_fd) or _free_loop(image_fd, image)
        try:
            kernel.mount(device, target, "ext4", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOATIME, _OPTIONS)
        finally:
            # With autoclear the device is freed when the mount goes, or now when there is none.
            os.close(loop_fd)
    finally:
        os.close(image_fd)


def _loop_of(image_fd: int) -> tuple[int, str] | None:
    """The loop device that has this very file, held open."""
    image = os.fstat(image_fd)
    for name in os.listdir("/sys/block"):
        if not name.startswith("loop") or not os.path.exists(f"/sys/block/{name}/loop/backing_file"):
            continue
        loop_fd = _open_loop(int(name[4:]))
        info = bytearray(struct.calcsize(_LOOP_INFO))
        try:
            fcntl.ioctl(loop_fd, _LOOP_GET_STATUS64, info)
        except OSError as error:
            os.close(loop_fd)
            if error.errno != errno.ENXIO:  # ENXIO: it was freed just now
                raise
            continue
        device, inode = struct.unpack_from("=QQ", info)
        if (device, inode) == (image.st_dev, image.st_ino):
            return loop_fd, f"/dev/{name}"
        os.close(loop_fd)
    return None


def _free_loop(image_fd: int, image: str) -> tuple[int, str]:
    for _ in range(64):
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
        finally:
            os.close(control)
        loop_fd = _open_loop(number)
        try:
            _configure_loop(loop_fd, image_fd, image)
        except OSError as error:
            os.close(loop_fd)
            if error.errno != errno.EBUSY:  # EBUSY: somebody else was quicker
                raise
        else:
            return loop_fd, f"/dev/loop{number}"
    raise OSError(errno.EBUSY, "no free loop device", image)


def _open_loop(number: int) -> int:
    device = f"/dev/loop{number}"
    if not os.path.exists(device):
        # A container's /dev may be a copy made before the kernel added the device.
        os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(7, number))
    return os.open(device, os.O_RDWR | os.O_CLOEXEC)


def _configure_loop(loop_fd: int, image_fd: int, image: str) -> None:
    name = os.fsencode(image)[-63:]
    info = struct.pack(_LOOP_INFO, 0, 0, 0, 0, 0, 0, 0, 0, _LO_FLAGS_AUTOCLEAR, name, b"", b"", 0, 0)
    try:
        fcntl.ioctl(loop_fd, _LOOP_CONFIGURE, struct.pack("=II", image_fd, _BLOCK_BYTES) + info + bytes(64))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTTY):
            raise
        # Linux before 5.8
        fcntl.ioctl(loop_fd, _LOOP_SET_FD, image_fd)
        fcntl.ioctl(loop_fd, _LOOP_SET_STATUS64, info)


def trim(mounted: str) -> int:
    """Give unused blocks back to the file below (FITRIM); bytes given back, 0 where the file cannot take it."""
    fd = os.open(mounted, kernel.DIRECTORY)
    try:
        request = bytearray(struct.pack("=QQQ", 0, 0xFFFFFFFFFFFFFFFF, 0))
        fcntl.ioctl(fd, _FITRIM, request)
        return int(struct.unpack("=QQQ", request)[1])
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            return 0
        raise
    finally:
        os.close(fd)
