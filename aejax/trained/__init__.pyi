from .compression import (
    compress as compress,
    decompress as decompress,
    has_codebook as has_codebook,
)
from .frozen import (
    FrozenDictionary as FrozenDictionary,
    freeze as freeze,
)
from .loading import (
    load as load,
)
from .quantise import (
    Quantizer as Quantizer,
)
from .trained import (
    Trained as Trained,
)
