from .cache import (
    cache_folder as cache_folder,
)
from .catalog import (
    Data as Data,
)
from .catalog import (
    load as load,
)
from .catalog import (
    names as names,
)
from .catalog import (
    pack as pack,
)
from .catalog import (
    prepare as prepare,
)
from .catalog import (
    read_examples as read_examples,
)
from .dataset import (
    Dataset as Dataset,
)
from .factors import (
    FACTORS as FACTORS,
)
from .factors import (
    Factors as Factors,
)
from .files import (
    read_array as read_array,
)
from .preprocess import (
    Binarise as Binarise,
)
from .preprocess import (
    Preprocess as Preprocess,
)
from .preprocess import (
    Scale as Scale,
)
from .preprocess import (
    Standardise as Standardise,
)
from .preprocess import (
    StaticBinarise as StaticBinarise,
)
from .preprocess import (
    scaled as scaled,
)
from .split import (
    permutation as permutation,
)
from .stored import (
    Rows as Rows,
)
from .stored import (
    Stored as Stored,
)
from .stored import (
    chunks as chunks,
)
