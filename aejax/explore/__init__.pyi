from ._page import (
    Explorer as Explorer,
    filled_page as filled_page,
)
from ._program import (
    write as write,
)
from ._writer import (
    Arrays as Arrays,
)
