"""How outcomes leave the worker: each by itself, or in transactions together with the offsets of their events."""

from worker.delivery.at_least_once import AtLeastOnce
from worker.delivery.exactly_once import ExactlyOnce
from worker.delivery.opening import end_left_open, open_delivery
from worker.delivery.options import DeliveryOptions
from worker.delivery.outcomes import Delivery, Ending, Outgoing

__all__ = [
    "AtLeastOnce",
    "Delivery",
    "DeliveryOptions",
    "Ending",
    "ExactlyOnce",
    "Outgoing",
    "end_left_open",
    "open_delivery",
]
