// Calls the RPC API with an official Node SDK: one JSON object a line in, one a line out.
// in: {client, scheme, address, id, secret, version, region, action, params}; out: {body} or {code, status, message}
'use strict';

const readline = require('readline');
const { RPCClient } = require('@alicloud/pop-core');
const OpenApi = require('@alicloud/openapi-client');
const { default: OpenApiUtil } = require('@alicloud/openapi-util');
const Util = require('@alicloud/tea-util');

async function popCore(call, method) {
  const client = new RPCClient({
    accessKeyId: call.id,
    accessKeySecret: call.secret,
    endpoint: `${call.scheme}://${call.address}`,
    apiVersion: call.version,
  });
  try {
    return { body: await client.request(call.action, { RegionId: call.region, ...call.params }, { method }) };
  } catch (error) {
    // The HTTP status is not passed on; what it says of itself is.
    return { code: error.code, status: error.entry ? error.entry.response.statusCode : 0, message: String(error.message) };
  }
}

async function openApi(call) {
  const config = new OpenApi.Config({
    accessKeyId: call.id,
    accessKeySecret: call.secret,
    endpoint: call.address,
    protocol: call.scheme,
    regionId: call.region,
  });
  const params = new OpenApi.Params({
    action: call.action,
    version: call.version,
    protocol: call.scheme,
    pathname: '/',
    method: 'POST',
    authType: 'AK',
    style: 'RPC',
    reqBodyType: 'formData',
    bodyType: 'json',
  });
  const request = new OpenApi.OpenApiRequest({ query: OpenApiUtil.query(call.params) });
  try {
    const answer = await new OpenApi.default(config).callApi(params, request, new Util.RuntimeOptions({}));
    return { body: answer.body };
  } catch (error) {
    return { code: error.code, status: (error.data || {}).statusCode || 0, message: String(error.message) };
  }
}

const CLIENTS = {
  'pop-core GET': (call) => popCore(call, 'GET'),
  'pop-core POST': (call) => popCore(call, 'POST'),
  'openapi-client': openApi,
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const call = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await CLIENTS[call.client](call))}\n`);
});
