from .density import (
    VAEDensity as VAEDensity,
)
from .detector import (
    AutoencoderDetector as AutoencoderDetector,
)
from .pyod import (
    AutoencoderOD as AutoencoderOD,
)
from .transformer import (
    AutoencoderTransformer as AutoencoderTransformer,
)
