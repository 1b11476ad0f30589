"""The list of CBN's operations is the official SDK's, and what is served is on it."""

from __future__ import annotations

import inspect
import re

from alibabacloud_cbn20170912 import client

from opencen.api.cbn.actions import REGISTRY
from opencen.api.cbn.catalogue import CBN_OPERATIONS


def test_the_catalogue_is_the_sdks() -> None:
    assert set(re.findall(r"action\s*=\s*'(\w+)'", inspect.getsource(client))) == CBN_OPERATIONS


def test_what_is_served_is_in_the_catalogue() -> None:
    served = {action.name for action in REGISTRY if action.product.name == "Cbn"}
    assert served <= CBN_OPERATIONS
    assert {"SetCenInterRegionBandwidthLimit", "DescribeCenInterRegionBandwidthLimits"} <= served
