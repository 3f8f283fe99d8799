from .execution import (
    SweepEvents as SweepEvents,
)
from .execution import (
    run_sweep as run_sweep,
)
from .plan import (
    check as check,
)
from .plan import (
    grid as grid,
)
from .plan import (
    groups as groups,
)
from .plan import (
    parse_axis as parse_axis,
)
from .plan import (
    read_axes as read_axes,
)
from .search import (
    Search as Search,
)
from .search import (
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
