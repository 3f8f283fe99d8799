from ._checks import (
    as_array as as_array,
    numbers_of as numbers_of,
)
from ._packed import (
    verify as verify,
)
from .again import (
    Given as Given,
    load_again as load_again,
    read_given as read_given,
    require_same as require_same,
)
from .arrays import (
    ARRAYS as ARRAYS,
    as_dataset as as_dataset,
    as_examples as as_examples,
)
from .cache import (
    cache_folder as cache_folder,
)
from .catalog import (
    load as load,
    names as names,
    pack as pack,
    prepare as prepare,
    read_examples as read_examples,
)
from .dataset import (
    UNKNOWN as UNKNOWN,
    Dataset as Dataset,
    Schema as Schema,
)
from .factors import (
    FACTORS as FACTORS,
    Factors as Factors,
    factors_of as factors_of,
)
from .files import (
    READ as READ,
    read_array as read_array,
)
from .identity import (
    NO_RECORD as NO_RECORD,
    DataRecord as DataRecord,
    as_stored as as_stored,
    fingerprint as fingerprint,
    in_units as in_units,
)
from .packing import (
    PackedType as PackedType,
    Packing as Packing,
)
from .pictures import (
    is_picture as is_picture,
    picture_files as picture_files,
    read_picture as read_picture,
    write_picture as write_picture,
)
from .precision import (
    settled as settled,
)
from .preprocess import (
    Binarise as Binarise,
    Counts as Counts,
    MeanLength as MeanLength,
    Preprocess as Preprocess,
    Scale as Scale,
    Standardise as Standardise,
    StaticBinarise as StaticBinarise,
    scaled as scaled,
)
from .settings import (
    Data as Data,
    Reading as Reading,
)
from .split import (
    permutation as permutation,
)
from .stored import (
    Rows as Rows,
    Stored as Stored,
    blank as blank,
    chunks as chunks,
    take_rows as take_rows,
)
from .synthetic import (
    SyntheticFeatures as SyntheticFeatures,
    source_of as source_of,
)
from .synthetic_counts import (
    SyntheticCounts as SyntheticCounts,
)
from .writing import (
    write_arrays as write_arrays,
)
