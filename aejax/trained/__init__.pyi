from .compression import (
    compress as compress,
    decompress as decompress,
)
from .dictionary_files import (
    read_dictionary as read_dictionary,
    write_dictionary as write_dictionary,
)
from .frozen import (
    FrozenDictionary as FrozenDictionary,
    freeze as freeze,
)
from .history import (
    History as History,
)
from .index_samplers import (
    Autoregressive as Autoregressive,
    FittedIndices as FittedIndices,
    Independent as Independent,
)
from .loading import (
    load as load,
)
from .quantise import (
    Quantizer as Quantizer,
)
from .samplers import (
    FittedPrior as FittedPrior,
    FittedSampler as FittedSampler,
    Mixture as Mixture,
    Sampler as Sampler,
    SecondStage as SecondStage,
    read_sampler as read_sampler,
    write_sampler as write_sampler,
)
from .shown import (
    require_pictures as require_pictures,
)
from .thawed import (
    keep as keep,
    thaw as thaw,
)
from .trained import (
    Trained as Trained,
)
