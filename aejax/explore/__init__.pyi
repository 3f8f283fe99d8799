from ._page import (
    Explorer as Explorer,
)
from ._program import (
    write as write,
)
from ._writer import (
    Arrays as Arrays,
)
