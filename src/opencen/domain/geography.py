"""Areas and regions, and the pairs of areas between which bandwidth is sold.

Source: reference `cbn-api.md`, sections 3.1 and 3.2. An administrator may add regions; these are there from the start.
"""

from __future__ import annotations

from dataclasses import dataclass

from opencen.domain.errors import InvalidValueError, SameRegionError


@dataclass(frozen=True, slots=True)
class Area:
    id: str
    name: str
    name_zh: str


@dataclass(frozen=True, slots=True)
class Region:
    id: str
    name: str
    name_zh: str
    area_id: str


AREAS: tuple[Area, ...] = (
    Area("China", "Mainland China", "中国内地"),
    Area("North-America", "North America", "北美"),
    Area("Asia-Pacific", "Asia Pacific", "亚太"),
    Area("Europe", "Europe", "欧洲"),
    Area("Australia", "Australia", "澳洲"),
    Area("Middle-East", "Middle East", "中东"),
)

REGIONS: tuple[Region, ...] = (
    Region("cn-qingdao", "China North 1 (Qingdao)", "华北1（青岛）", "China"),
    Region("cn-beijing", "China North 2 (Beijing)", "华北2（北京）", "China"),
    Region("cn-zhangjiakou", "China North 3 (Zhangjiakou)", "华北3（张家口）", "China"),
    Region("cn-huhehaote", "China North 5 (Hohhot)", "华北5（呼和浩特）", "China"),
    Region("cn-wulanchabu", "China North 6 (Ulanqab)", "华北6（乌兰察布）", "China"),
    Region("cn-hangzhou", "China East 1 (Hangzhou)", "华东1（杭州）", "China"),
    Region("cn-shanghai", "China East 2 (Shanghai)", "华东2（上海）", "China"),
    Region("cn-nanjing", "China East 5 (Nanjing)", "华东5（南京）", "China"),
    Region("cn-fuzhou", "China East 6 (Fuzhou)", "华东6（福州）", "China"),
    Region("cn-shenzhen", "China South 1 (Shenzhen)", "华南1（深圳）", "China"),
    Region("cn-heyuan", "China South 2 (Heyuan)", "华南2（河源）", "China"),
    Region("cn-guangzhou", "China South 3 (Guangzhou)", "华南3（广州）", "China"),
    Region("cn-chengdu", "China Southwest 1 (Chengdu)", "西南1（成都）", "China"),
    Region("us-west-1", "US West 1 (Silicon Valley)", "美国西部1（硅谷）", "North-America"),
    Region("us-east-1", "US East 1 (Virginia)", "美国东部1（弗吉尼亚）", "North-America"),
    Region("cn-hongkong", "China (Hong Kong)", "中国香港", "Asia-Pacific"),
    Region("ap-southeast-1", "Singapore", "新加坡", "Asia-Pacific"),
    Region("ap-southeast-3", "Malaysia (Kuala Lumpur)", "马来西亚（吉隆坡）", "Asia-Pacific"),
    Region("ap-southeast-5", "Indonesia (Jakarta)", "印度尼西亚（雅加达）", "Asia-Pacific"),
    Region("ap-southeast-6", "Philippines (Manila)", "菲律宾（马尼拉）", "Asia-Pacific"),
    Region("ap-southeast-7", "Thailand (Bangkok)", "泰国（曼谷）", "Asia-Pacific"),
    Region("ap-northeast-1", "Japan (Tokyo)", "日本（东京）", "Asia-Pacific"),
    Region("ap-northeast-2", "South Korea (Seoul)", "韩国（首尔）", "Asia-Pacific"),
    Region("ap-south-1", "India (Mumbai)", "印度（孟买）", "Asia-Pacific"),
    Region("eu-central-1", "Germany (Frankfurt)", "德国（法兰克福）", "Europe"),
    Region("eu-west-1", "UK (London)", "英国（伦敦）", "Europe"),
    Region("ap-southeast-2", "Australia (Sydney)", "澳大利亚（悉尼）", "Australia"),
    Region("me-east-1", "UAE (Dubai)", "阿联酋（迪拜）", "Middle-East"),
)


def region_pair(region_id: str, other_region_id: str) -> tuple[str, str]:
    """An unordered pair of regions in its one spelling, sorted. Raises SameRegionError."""
    if region_id == other_region_id:
        raise SameRegionError(
            f"a region connection joins two different regions; both are {region_id!r}",
            field="region_b_id",
            value=other_region_id,
        )
    return (region_id, other_region_id) if region_id < other_region_id else (other_region_id, region_id)


def area_pair(area_id: str, other_area_id: str) -> tuple[str, str]:
    """An unordered pair of areas in its one spelling, sorted; both may be the same."""
    return (area_id, other_area_id) if area_id <= other_area_id else (other_area_id, area_id)


def connection_id(cen_id: str, region_a_id: str, region_b_id: str) -> str:
    """`cen:regionA:regionB`, the regions sorted."""
    first, second = region_pair(region_a_id, region_b_id)
    return f"{cen_id}:{first}:{second}"


def parse_connection_id(identifier: str) -> tuple[str, str, str]:
    """The instance and the sorted regions of a connection id. Raises InvalidValueError."""
    parts = identifier.split(":")
    if len(parts) != 3 or not all(parts):
        raise InvalidValueError(
            f"a region connection's id is cen-…:region:region, not {identifier!r}", field="id", value=identifier
        )
    return (parts[0], *region_pair(parts[1], parts[2]))
