"""Each volume of the pod at its own path, for the user's process alone.

Called by: session.
Owns: nothing; the process's mount namespace ends with it.
Never: changes a directory of the laptop.
"""

import dataclasses
import os
from pathlib import Path

from telepresence.mountinfo import is_volume
from telepresence.values import Launch, MountPoint

REALPATHS = Path(__file__).with_name("telepresence-realpaths")


def _hides(volume: bytes, place: Path) -> bool:
    return place.is_relative_to(os.fsdecode(volume))


def at_real_paths(
    launch: Launch, root: Path, mounts: tuple[MountPoint, ...]
) -> tuple[Launch, list[str]]:
    """The same process in a namespace in which the volumes are where the pod has them; and what
    the user should hear.  A volume that would hide $TELEPRESENCE_ROOT or the program stays out."""
    needed = (root, Path(launch.program), REALPATHS)
    chosen, notes = [], []
    for mount in sorted(filter(is_volume, mounts), key=lambda volume: volume.path):
        if any(_hides(mount.path, place) for place in needed):
            name = os.fsdecode(mount.path)
            notes.append(
                f"the volume {name} is at {root}{name} alone: it would hide what runs here"
            )
        else:
            chosen.append(os.fsdecode(mount.path))
    words = (str(REALPATHS), str(root), *chosen, "--", launch.program, *launch.argv)
    return dataclasses.replace(launch, program=str(REALPATHS), argv=words), notes
