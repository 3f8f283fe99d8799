"""Compares dictionaries that are handed to SAELens and sparsify, and taken from them, with what those compute.

    python -m venv peers && peers/bin/pip install torch sae-lens
    peers/bin/pip install --no-deps eai-sparsify natsort schedulefree
    python scripts/peer_dictionaries.py --peer peers/bin/python

The peers run in an environment of their own. Every variant is trained here for a few steps, exported, and loaded there;
and every architecture of theirs is saved there with weights that are drawn, and imported here. Written down is the
largest difference between the codes of 256 examples, and between their reconstructions, of each.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "peer_dictionaries.json"
D, N, K, EXAMPLES = 24, 96, 6, 256
WITHIN = 1e-5
"""The largest difference that counts as none."""

PEER = """
import json, sys
from importlib.metadata import version
from pathlib import Path
import numpy as np, torch
from sae_lens import SAE, GatedSAE, GatedSAEConfig, JumpReLUSAE, JumpReLUSAEConfig, StandardSAE, StandardSAEConfig
from sae_lens import TopKSAE, TopKSAEConfig
from sae_lens.saes.transcoder import SkipTranscoder, SkipTranscoderConfig, Transcoder, TranscoderConfig
from sparsify import SparseCoder, SparseCoderConfig

folder, D, N, K = Path(sys.argv[1]), *map(int, sys.argv[2:])
x = torch.from_numpy(np.load(folder / "x.npy"))

@torch.no_grad()
def keep(model, path):
    if isinstance(model, SparseCoder):
        acts, places, _ = model.encode(x)
        code, made = torch.zeros(len(x), N).scatter(1, places, acts), model(x).sae_out
    else:
        code, made = model.encode(x), model(x)
        if not getattr(model.cfg, "rescale_acts_by_decoder_norm", False):
            code = code * model.W_dec.norm(dim=1)  # how far each row is followed, as codes are here
    np.savez(path / "peer.npz", code=code.numpy(), made=made.numpy())

for path in sorted((folder / "ours").iterdir()):
    keep((SparseCoder if (path / "sae.safetensors").exists() else SAE).load_from_disk(path), path)

torch.manual_seed(0)
plain = dict(d_in=D, d_sae=N)
across = dict(apply_b_dec_to_input=False, d_out=D // 2, **plain)
theirs = {
    "saelens-standard": StandardSAE(StandardSAEConfig(**plain)),
    "saelens-topk": TopKSAE(TopKSAEConfig(k=K, rescale_acts_by_decoder_norm=True, **plain)),
    "saelens-jumprelu": JumpReLUSAE(JumpReLUSAEConfig(**plain)),
    "saelens-gated": GatedSAE(GatedSAEConfig(**plain)),
    "saelens-transcoder": Transcoder(TranscoderConfig(**across)),
    "saelens-skip-transcoder": SkipTranscoder(SkipTranscoderConfig(**across)),
    "sparsify-topk": SparseCoder(D, SparseCoderConfig(num_latents=N, k=K)),
    "sparsify-skip-transcoder": SparseCoder(
        D, SparseCoderConfig(num_latents=N, k=K, transcode=True, skip_connection=True)
    ),
}
for name, model in theirs.items():
    path = folder / "theirs" / name
    for key, weight in model.named_parameters():
        weight.data = 0.3 * torch.randn_like(weight)
        if key == "threshold":
            weight.data = weight.data.abs()
    if isinstance(model, SparseCoder):
        model.set_decoder_norm_to_unit_norm()
        model.save_to_disk(path)
    else:
        model.save_model(path)
    keep(model, path)
print(json.dumps({name: version(name) for name in ("sae-lens", "eai-sparsify", "torch")}))
"""
"""What runs in the peers' environment."""


def variants() -> dict[str, Any]:
    """Returns each variant, trained for a few steps, by the name of its registered experiment."""
    from dataclasses import replace

    import numpy as np

    import aejax
    from aejax.core import Examples
    from aejax.data import Data, Dataset, MeanLength

    rng = np.random.default_rng(0)
    x = (rng.normal(size=(1024, 40)) * (rng.random((1024, 40)) < 0.1)) @ rng.normal(size=(40, D)) + rng.normal(size=D)
    part = Examples(x.astype(np.float32))
    dataset = Dataset("drawn", part, part.take(np.arange(64)), part.take(np.arange(EXAMPLES)))
    made = {}
    for kind in ("l1", "topk", "batchtopk", "matryoshka", "jumprelu", "gated"):
        base = aejax.get(f"dictionary-{kind}")
        settings = {"size": N} | ({"k": K} if hasattr(base.model.latent, "k") else {})
        model = base.model.clone(latent=base.model.latent.clone(**settings))
        experiment = replace(base, model=model, data=Data("drawn", preprocess=MeanLength()), batch_size=64, steps=60)
        made[kind] = aejax.fit(experiment, dataset=dataset)
    return made


def differences(code: Any, made: Any, other: Any) -> dict[str, float]:
    """Returns the largest difference of codes and of reconstructions, beside how large these are.

    Args:
        code: the codes.
        made: the reconstructions.
        other: both, as the peer has them.
    """
    import numpy as np

    return {
        "code": float(np.abs(code - other["code"]).max()),
        "reconstruction": float(np.abs(made - other["made"]).max()),
        "largest_code": float(np.abs(code).max()),
        "active_units": float((np.asarray(code) != 0).sum(axis=1).mean()),
    }


def compare(peer: str, folder: Path) -> dict[str, Any]:
    """Returns what is written down.

    Args:
        peer: the peers' Python.
        folder: an empty folder.
    """
    import numpy as np

    from aejax.core import InputError
    from aejax.runs import hardware, versions
    from aejax.trained import freeze, read_dictionary, write_dictionary

    trained = variants()
    x = np.random.default_rng(1).normal(size=(EXAMPLES, D)).astype(np.float32)
    np.save(folder / "x.npy", x)
    refused, ours = [], {}
    for kind, each in trained.items():
        for form in ("saelens", "sparsify"):
            path = folder / "ours" / f"{form}-{kind}"
            try:
                write_dictionary(freeze(each), form, path)
                ours[path.name] = each
            except InputError:  # sparsify has top-k alone
                refused.append(path.name)
    said = subprocess.run(
        [peer, "-c", PEER, str(folder), *map(str, (D, N, K))], stdout=subprocess.PIPE, text=True, check=True
    )
    exported, imported = {}, {}
    for name, each in ours.items():
        scale = float(np.asarray(each.preprocess.invert(np.ones((1, 1), np.float32)))[0, 0])
        with np.load(folder / "ours" / name / "peer.npz") as other:
            exported[name] = differences(scale * each.encode(x), each.reconstruct(x), other)
    for path in sorted((folder / "theirs").iterdir()):
        frozen = read_dictionary(path)
        with np.load(path / "peer.npz") as other:
            imported[path.name] = differences(np.asarray(frozen.encode(x)), np.asarray(frozen.reconstruct(x)), other)
    return {
        "hardware": hardware(),
        "versions": versions() | json.loads(said.stdout.splitlines()[-1]),
        "examples": EXAMPLES,
        "within": WITHIN,
        "exported": exported,
        "imported": imported,
        "has_no_form": refused,
    }


def main() -> None:
    """Compares, prints a line each, and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="the Python of an environment with sae-lens and eai-sparsify")
    peer = parser.parse_args().peer
    with tempfile.TemporaryDirectory() as folder:
        content = compare(peer, Path(folder))
    for way in ("exported", "imported"):
        for name, row in content[way].items():
            codes = f"{row['code']:.1e} of {row['largest_code']:.3g}"
            print(f"{way} {name:28} codes differ by {codes}, {row['active_units']:.0f} active")
            assert row["code"] <= WITHIN, name
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
