// Start @vercel/cosmosdb-server with the answers of Cosmos DB where its own differ: node cosmos.js HOST PORT
// A third party's implementation, in memory, over HTTPS with its own self-signed certificate; any key is accepted.
"use strict";

const LIBRARY = "@vercel/cosmosdb-server/lib/handler/";
// UTF-8 length of an item's JSON: https://learn.microsoft.com/azure/cosmos-db/concepts-limits#per-item-limits
const MAX_ITEM_BYTES = 2 * 1024 * 1024;
const OWNER_RESOURCE_NOT_FOUND = 1003;

// The router binds the handlers when it loads: so wrap them before anything loads it.
function checkBefore(name, check) {
  const handler = require(LIBRARY + name);
  const answer = handler.default;
  handler.default = (account, req, res, params) =>
    check(account.database(params.dbId).collection(params.collId), req, res, params) ??
    answer(account, req, res, params);
}

// A missing container: the server throws on create (500), and elsewhere its 404 looks like that of a missing
// document, which would let an outage pass for a new user. Cosmos DB tells them apart by the substatus.
function containerExists(container, req, res) {
  if (container.read()) return undefined;
  res.statusCode = 404;
  res.setHeader("x-ms-substatus", OWNER_RESOURCE_NOT_FOUND);
  return { code: "NotFound", message: "Owner resource does not exist" };
}

// A point read of a missing document throws (500), and the SDKs retry that for seconds; replace and delete answer
// 404 without the code that Cosmos DB gives.
function documentExists(container, req, res, { docId }) {
  const [partition] = JSON.parse(req.headers["x-ms-documentdb-partitionkey"]);
  if (container.document(docId, partition).read()) return undefined;
  res.statusCode = 404;
  return { code: "NotFound", message: "Entity with the specified id does not exist in the system." };
}

// The server stores items of any size.
function limitSize(name) {
  const operations = require(LIBRARY + "_document-operations");
  const write = operations[name];
  operations[name] = (container, input) =>
    Buffer.byteLength(JSON.stringify(input.resourceBody)) <= MAX_ITEM_BYTES
      ? write(container, input)
      : { statusCode: 413, body: { code: "RequestEntityTooLarge", message: "Request size is too large" } };
}

for (const verb of ["read", "replace", "delete"]) checkBefore(`${verb}-document`, documentExists);
for (const verb of ["create", "upsert", "replace"]) limitSize(`${verb}Operation`);
for (const verb of ["create", "upsert", "replace", "read", "delete"]) checkBefore(`${verb}-document`, containerExists);

const { createHttpsServer } = require("@vercel/cosmosdb-server");

const [host, port] = process.argv.slice(2);
const server = createHttpsServer({ keepAlive: true });
// Node drops idle connections after 5 s, aiohttp reuses them for 15 s: outlast it, or a request can meet the close.
server.keepAliveTimeout = 60_000;
server.once("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
server.listen(Number(port), host, () => {
  console.log(`Cosmos server listens on https://${host}:${server.address().port}`);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
