"""The rules of `LayerStore`, as one suite that every implementation passes.

A test module subclasses `LayerStoreSuite` and gives three fixtures: `make_store` (opens the store on
one and the same root, as a process that starts would), `new_slot` (an empty directory that `mount` may
be given) and `leave_rubbish` (leaves what a crash before the row would leave, and returns where).
Layers are written through `mount` with plain file operations, as the test's own uid.
"""

from __future__ import annotations

from tests.conformance.layer_content_rules import LayerContentRules
from tests.conformance.layer_life_rules import LayerLifeRules
from tests.conformance.volume_rules import VolumeRules


class LayerStoreSuite(LayerContentRules, LayerLifeRules, VolumeRules):
    """Every rule is one test; a store that breaks one has a bug or `store.py` has."""
