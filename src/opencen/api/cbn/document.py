"""docs/cbn.md, out of the declarations of the actions: `python -m opencen.api.cbn.document > docs/cbn.md`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opencen.api.cbn.actions import REGISTRY
from opencen.api.cbn.actions.products import CBN
from opencen.api.cbn.catalogue import CBN_OPERATIONS
from opencen.api.cbn.protocol.action import Action
from opencen.tls import TRUST

_INTRODUCTION = """\
# CBN clients and OpenCEN

OpenCEN serves the RPC API that clients of Alibaba Cloud CEN speak, Cbn 2017-09-12, and what they call around it. A
client needs two things changed: the address, and an access key of OpenCEN's. `admin.json` in the server's data
directory has one; below, it is `$ID` and `$SECRET`, and the server listens at `127.0.0.1:8400`.

This page is written by `python -m opencen.api.cbn.document > docs/cbn.md` out of the code; a test compares both.

## Point your client here
"""

_CLIENTS = (
    (
        "Terraform, provider aliyun/alicloud",
        "hcl",
        """\
provider "alicloud" {
  region     = "cn-hangzhou"
  access_key = "$ID"
  secret_key = "$SECRET"
  protocol   = "HTTP"
  endpoints {
    cbn             = "127.0.0.1:8400"
    vpc             = "127.0.0.1:8400"
    sts             = "127.0.0.1:8400"
    location        = "127.0.0.1:8400"
    bssopenapi      = "127.0.0.1:8400"
    resourcemanager = "127.0.0.1:8400"
  }
}""",
    ),
    (
        "aliyun command line",
        "sh",
        """\
aliyun configure set --profile opencen --mode AK --region cn-hangzhou --access-key-id $ID --access-key-secret $SECRET
aliyun cbn DescribeCens --profile opencen --endpoint 127.0.0.1:8400 --insecure""",
    ),
    (
        "Python, alibabacloud-cbn20170912",
        "python",
        """\
from alibabacloud_cbn20170912.client import Client
from alibabacloud_tea_openapi.models import Config

client = Client(Config(access_key_id=ID, access_key_secret=SECRET, endpoint="127.0.0.1:8400", protocol="http"))""",
    ),
    (
        "Python, aliyun-python-sdk-cbn",
        "python",
        """\
from aliyunsdkcore.client import AcsClient

client = AcsClient(ID, SECRET, "cn-hangzhou", port=8400)
request.set_endpoint("127.0.0.1")  # each request
request.set_protocol_type("http")""",
    ),
    (
        "Node, @alicloud/cbn20170912 and whatever else is built on @alicloud/openapi-client",
        "js",
        """\
const Cbn = require('@alicloud/cbn20170912');
const { Config } = require('@alicloud/openapi-client');
const client = new Cbn.default(new Config({
  accessKeyId: ID, accessKeySecret: SECRET, endpoint: '127.0.0.1:8400', protocol: 'http' }));""",
    ),
    (
        "Node, @alicloud/pop-core",
        "js",
        """\
const { RPCClient } = require('@alicloud/pop-core');
const client = new RPCClient({
  accessKeyId: ID, accessKeySecret: SECRET, endpoint: 'http://127.0.0.1:8400', apiVersion: '2017-09-12' });""",
    ),
    (
        "Go, github.com/alibabacloud-go/cbn-20170912",
        "go",
        """\
config := &openapi.Config{
    AccessKeyId: tea.String(id), AccessKeySecret: tea.String(secret),
    Endpoint: tea.String("127.0.0.1:8400"), Protocol: tea.String("http"),
}
client, err := cbn.NewClient(config)""",
    ),
    (
        "Java, com.aliyun:cbn20170912",
        "java",
        """\
Config config = new Config().setAccessKeyId(id).setAccessKeySecret(secret)
    .setEndpoint("127.0.0.1:8400").setProtocol("http");
Client client = new Client(config);""",
    ),
)

_HTTPS = """\
## HTTPS

`opencen tls init --name HOST` makes a private authority and the server's certificate, and `opencen serve --tls-cert …
--tls-key …` serves with it; any other certificate does as well. In the lines above `http` becomes `https`, `--insecure`
becomes `--secure`, and the client is told to trust the authority in `ca.pem`:
"""

_RULES = """\
## What holds for every operation

* Signatures: RPC version 1.0 (HMAC-SHA1) in query or form, GET or POST; ACS3-HMAC-SHA256 in headers. A clock may be 15
  minutes off; a nonce counts once. Security tokens are refused: there is no STS to have issued them.
* Answers and errors are JSON, or XML with `Format=XML`.
* Lists by pages take `PageNumber` and `PageSize` and say `TotalCount`; tags take `NextToken`.
* With `ClientToken`, where it is listed, a call that is repeated within 24 hours is answered as the first was and does
  nothing; with other parameters it is refused (`IdempotenceParam.NotMatch`).
* Parameters that are not listed are accepted and ignored. An operation that is not served is refused like an unknown
  one (`InvalidAction.NotFound`, 404) and counted under its name in the metric `opencen_rpc_calls_total`.
* Nothing is ever busy: changes queue inside, so `Operation.Blocking` and its like are never sent.
"""


def write() -> str:
    """The page."""
    parts = [_INTRODUCTION]
    parts += [f"### {client}\n\n```{language}\n{lines}\n```\n" for client, language, lines in _CLIENTS]
    parts.append(_HTTPS)
    parts.append(
        _table(
            ("client", "what makes it trust the authority"),
            ((name, f"`{how.format(ca='ca.pem')}`") for name, how in TRUST),
        )
    )
    parts.append(_RULES)
    actions = {(action.product.name, action.name): action for action in REGISTRY}
    served = sorted(name for product, name in actions if product == CBN.name)
    parts.append(
        f"## Cbn 2017-09-12\n\n{len(served)} of {len(CBN_OPERATIONS | set(served))} operations are served. "
        "`*` marks what is required.\n"
    )
    parts.append(
        _table(
            ("operation", "served", "parameters"),
            (_row(name, actions.get((CBN.name, name))) for name in sorted(CBN_OPERATIONS | set(served))),
        )
    )
    others = sorted({(action.product.name, action.product.version) for action in REGISTRY} - {(CBN.name, CBN.version)})
    for product, version in others:
        parts.append(f"## {product} {version}\n")
        names = sorted(name for owner, name in actions if owner == product)
        rows = ((f"`{name}`", _parameters(actions[product, name])) for name in names)
        parts.append(_table(("operation", "parameters"), rows))
    return "\n".join(parts)


def _row(name: str, action: Action[Any] | None) -> tuple[str, str, str]:
    return (f"`{name}`", "yes", _parameters(action)) if action else (f"`{name}`", "-", "")


def _parameters(action: Action[Any]) -> str:
    return ", ".join(f"{name}{'*' if required else ''}" for name, required in action.parameters)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(columns)
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(write(), end="")
