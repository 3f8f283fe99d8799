from .execution import (
    run_sweep as run_sweep,
)
from .plan import (
    check as check,
    grid as grid,
    groups as groups,
    parse_axis as parse_axis,
    read_axes as read_axes,
)
from .result import (
    Result as Result,
)
from .search import (
    Search as Search,
    run_search as run_search,
)
from .space import (
    parse_search_axis as parse_search_axis,
)
from .store import (
    Sweep as Sweep,
)
from .summary import (
    SummaryRow as SummaryRow,
)
