"""What follows from the options of the delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from worker.admission.key_order import by_key, by_nothing, by_partition
from worker.delivery import DeliveryOptions

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("options", "ordering_key"),
    [
        (DeliveryOptions(), by_key),
        (DeliveryOptions(order_by_key=False), by_nothing),
        (DeliveryOptions(delivery="exactly-once"), by_partition),
        (DeliveryOptions(delivery="exactly-once", order_by_key=False), by_partition),
    ],
)
def test_outcomes_of_a_key_are_in_line_and_those_of_a_partition_where_they_leave_in_transactions(
    options: DeliveryOptions, ordering_key: Callable[..., object]
) -> None:
    assert options.ordering_key is ordering_key
