"""The official Python SDKs, unmodified and pointed at our address, behind one small interface for the scenario.

Each client turns an action's name and parameters into that SDK's request object, and its answer into the document
that the SDK read.
"""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from alibabacloud_cbn20170912.client import Client as CbnClient
from alibabacloud_cms20190101.client import Client as CmsClient
from alibabacloud_tea_openapi.client import Client as OpenApiClient
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_vpc20160428.client import Client as VpcClient
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from darabonba.exceptions import DaraException
from darabonba.runtime import RuntimeOptions

from opencen.testing import OpencenServer
from servers import ServerProcess

VERSIONS = {
    "cbn": "2017-09-12",
    "vpc": "2016-04-28",
    "sts": "2015-04-01",
    "location": "2015-06-12",
    "bssopenapi": "2017-12-14",
    "resourcemanager": "2020-03-31",
    "cms": "2019-01-01",
}


@dataclass(frozen=True)
class Target:
    """Where an SDK calls, and with which access key."""

    port: int
    access_key_id: str
    access_key_secret: str
    host: str = "127.0.0.1"
    ca: Path | None = None
    """The authority to trust: calls go over HTTPS."""

    @classmethod
    def of(cls, server: ServerProcess) -> Target:
        """The server, as its administrator."""
        credential = server.credential
        return cls(server.port, credential.identifier, credential.secret)

    @classmethod
    def of_ephemeral(cls, server: OpencenServer, ca: Path | None = None) -> Target:
        port = int(server.endpoint.rpartition(":")[2])
        return cls(port, server.access_key_id, server.access_key_secret, ca=ca)

    @property
    def scheme(self) -> str:
        return "https" if self.ca else "http"


class SdkRefusalError(Exception):
    """What the SDK raised: the code, HTTP status and message that it read."""

    def __init__(self, code: str, http_status: int, message: str) -> None:
        super().__init__(f"{http_status} {code}: {message}")
        self.code = code
        self.http_status = http_status
        self.message = message


class SdkClient(Protocol):
    @property
    def older_names(self) -> bool:
        """Whether its parameters of lists have names of its own, in the plural."""
        ...

    def call(self, product: str, action: str, **parameters: Any) -> dict[str, Any]:
        """`product` is one of VERSIONS; parameters have the wire's names. Raises SdkRefusalError."""
        ...


class TeaClient:
    """alibabacloud-cbn20170912 and alibabacloud-vpc20160428: ACS3-HMAC-SHA256."""

    older_names = False

    def __init__(self, target: Target, *, signature_algorithm: str | None = None) -> None:
        config = Config(
            access_key_id=target.access_key_id,
            access_key_secret=target.access_key_secret,
            endpoint=f"{target.host}:{target.port}",
            protocol=target.scheme,
            region_id="cn-hangzhou",
            signature_algorithm=signature_algorithm,
        )
        self._runtime = RuntimeOptions(ca=str(target.ca) if target.ca else None)
        self._clients = {
            "cbn": (CbnClient(config), importlib.import_module("alibabacloud_cbn20170912.models")),
            "vpc": (VpcClient(config), importlib.import_module("alibabacloud_vpc20160428.models")),
            "cms": (CmsClient(config), importlib.import_module("alibabacloud_cms20190101.models")),
        }
        self._generic = OpenApiClient(config)
        self._scheme = target.scheme

    def call(self, product: str, action: str, **parameters: Any) -> dict[str, Any]:
        try:
            if product not in self._clients:
                return self._call_generic(product, action, parameters)
            client, models = self._clients[product]
            request = getattr(models, f"{action}Request")().from_map(parameters)
            answer = getattr(client, f"{_snake(action)}_with_options")(request, self._runtime)
        except DaraException as refusal:
            data = refusal.data or {}
            raise SdkRefusalError(refusal.code, data.get("statusCode", 0), refusal.message) from refusal
        assert answer.status_code == 200
        return answer.body.to_map()

    def _call_generic(self, product: str, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        params = Params(
            action=action,
            version=VERSIONS[product],
            protocol=self._scheme,
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        )
        answer = self._generic.call_api(params, OpenApiRequest(query=Utils.query(parameters)), self._runtime)
        return dict(answer["body"])


class CoreClient:
    """aliyun-python-sdk-cbn and -vpc over aliyun-python-sdk-core: version 1.0 in the query of a POST."""

    older_names = True

    PACKAGES = {  # noqa: RUF012
        "cbn": "aliyunsdkcbn.request.v20170912",
        "vpc": "aliyunsdkvpc.request.v20160428",
        "cms": "aliyunsdkcms.request.v20190101",
    }

    def __init__(self, target: Target) -> None:
        self._target = target
        self._by_region: dict[str, AcsClient] = {}

    def call(self, product: str, action: str, **parameters: Any) -> dict[str, Any]:
        client = self._in_region(parameters.pop("RegionId", "cn-hangzhou"))
        if product in self.PACKAGES:
            module = importlib.import_module(f"{self.PACKAGES[product]}.{action}Request")
            request = getattr(module, f"{action}Request")()
            for name, value in parameters.items():
                getattr(request, f"set_{name}")(value)
        else:
            request = CommonRequest(version=VERSIONS[product], action_name=action, product=product)
            request.set_method("POST")
            for name, value in parameters.items():
                request.add_query_param(name, value)
        # CommonRequest's own set_endpoint is called set_domain.
        (request.set_endpoint if product in self.PACKAGES else request.set_domain)(self._target.host)
        request.set_protocol_type(self._target.scheme)
        request.set_accept_format("JSON")
        try:
            return json.loads(client.do_action_with_exception(request))
        except ServerException as refusal:
            raise SdkRefusalError(
                refusal.get_error_code(), refusal.get_http_status(), refusal.get_error_msg()
            ) from refusal

    def _in_region(self, region_id: str) -> AcsClient:
        """This SDK takes RegionId from the client, never from the request."""
        key_id, secret, port = self._target.access_key_id, self._target.access_key_secret, self._target.port
        verify = str(self._target.ca) if self._target.ca else None
        return self._by_region.setdefault(region_id, AcsClient(key_id, secret, region_id, port=port, verify=verify))


def _snake(action: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", action.replace("VSwitch", "Vswitch")).lower()
