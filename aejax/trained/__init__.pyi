from .compression import (
    compress as compress,
)
from .compression import (
    decompress as decompress,
)
from .compression import (
    has_codebook as has_codebook,
)
from .quantise import (
    Quantizer as Quantizer,
)
from .trained import (
    Trained as Trained,
)
from .trained import (
    load as load,
)
