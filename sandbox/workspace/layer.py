"""Words of the layer store: what a layer is and how it is called. Pure records.

A *layer* is what one attempt changed, over a parent layer or over the *base* (the user's directory).
An **active** layer is being written; a **view** is a read-only look at a committed layer; a
**committed** layer is immutable and may be a parent. Active layers and views have a *key*; committed
layers have a *name*. Keys and names are drawn from the same alphabet and never reused.
A *volume* is where an execution's layers are kept; its size is the execution's disk limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

LayerKey = NewType("LayerKey", str)
LayerName = NewType("LayerName", str)
VolumeId = NewType("VolumeId", str)

IDENTIFIER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""What a key, name or volume id may look like; checked before it becomes part of a path."""


class LayerKind(StrEnum):
    """ACTIVE: one attempt writes it. VIEW: read-only mount of a committed layer. COMMITTED: immutable."""

    ACTIVE = "active"
    VIEW = "view"
    COMMITTED = "committed"


@dataclass(frozen=True, slots=True)
class DiskLimit:
    """Hard limits of a volume. Enforced by the file system where the host can, see `doctor`."""

    bytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a layer or volume holds: bytes allocated and number of inodes."""

    bytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A row of the store.

    parent: the committed layer below, None when it stands directly on the base.
    depth: 1 for a layer that stands on the base. digest: sha256 of the manifest (hex), "" unless committed.
    empty: the attempt changed nothing.
    """

    id: str
    kind: LayerKind
    volume: VolumeId
    parent: LayerName | None
    depth: int
    digest: str = ""
    empty: bool = False
    usage: Usage = Usage(0, 0)
