"""Reads the groups that version 0.1.0 left in training: a line of JSON, and the rest as MessagePack."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import json_text
from aejax.experiment import Experiment, as_first_written
from aejax.runs import write_arrays
from aejax.training._group_checkpoint import damage_told, group_file, hashed


def older_names(experiments: Sequence[Experiment], *rest: Any) -> list[str]:
    """Returns the names that members had in version 0.1.0: see `member_names`."""
    texts = (json.dumps(as_first_written(experiment), indent=2) for experiment in experiments)
    return [hashed(f"{text} {rest}") for text in texts]


def convert_older(folder: Path, names: Mapping[str, str]) -> None:
    """Writes the files of groups of these members as they are written now, in place of those of version 0.1.0.

    `names` are the members' by those that they had. A damaged file is left, with a warning.
    """
    for path in folder.glob("[!.]*.msgpack"):
        with damage_told(path):
            first, _, packed = path.read_bytes().partition(b"\n")
            header = json.loads(first)
            if header["crc32"] != zlib.crc32(packed):
                raise ValueError("its checksum does not match")
            if set(header["members"]) & set(names):
                _convert(folder, [names.get(name, name) for name in header["members"]], header["members"], packed)
                path.unlink()


def _convert(folder: Path, members: list[str], older: list[str], packed: bytes) -> None:
    from flax import serialization

    content = serialization.msgpack_restore(packed)
    now = dict(zip(older, members, strict=True))
    ended = {now[name]: item for name, item in content["ended"].items()}
    facts = {
        "members": members,
        "epoch": content["epoch"],
        "slots": list(content["slots"]),
        "ended": {name: [item["failed_at"], item["stopped_after"]] for name, item in ended.items()},
    }
    parts = {"members": content["members"]} | {name: item["state"] for name, item in ended.items()}
    arrays = {f"{part}.{name}": array for part, named in parts.items() for name, array in named.items()}
    rows = json_text({now[name]: rows for name, rows in json.loads(content["rows"]).items()})
    arrays["rows"] = np.frombuffer(rows.encode(), np.uint8)
    write_arrays(group_file(folder, members), arrays, {"group": json_text(facts)})
