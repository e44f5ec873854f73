// One life of a cluster, in the types that openapi-typescript makes of the served document. What the compiler refuses or
// a request that ends otherwise than the document says is a fault of the document.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Cluster = components["schemas"]["Cluster"];

const client = createClient<paths>({ baseUrl: process.argv[2] ?? "" });
const root = "/api/hyperfleet/v1";

function required<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) {
    throw new Error(JSON.stringify(answer.error));
  }
  return answer.data;
}

const created: Cluster = required(
  await client.POST(`${root}/clusters`, {
    body: { kind: "Cluster", name: "from-typescript", spec: { nodes: 3 }, labels: { env: "test" } },
  }),
);
const cluster_id = created.id;

required(
  await client.POST(`${root}/clusters/{cluster_id}/statuses`, {
    params: { path: { cluster_id } },
    body: {
      adapter: "dns",
      observed_generation: created.generation,
      conditions: [{ type: "Available", status: "True" }],
    },
  }),
);

const listed = required(
  await client.GET(`${root}/clusters`, { params: { query: { search: "labels.env = 'test'", pageSize: 5 } } }),
);
const phases = listed.items.map((item) => `${item.name} ${item.status?.phase}`);

const changed: Cluster = required(
  await client.PATCH(`${root}/clusters/{cluster_id}`, {
    params: { path: { cluster_id }, header: { "If-Match": `"g${created.generation}"` } },
    body: { spec: { nodes: 5 } },
  }),
);

const refused = await client.POST(`${root}/clusters`, { body: { name: "no_such_name", spec: {} } });
if (refused.error === undefined || !("errors" in refused.error)) {
  throw new Error("a bad name was taken");
}
const fields = refused.error.errors?.map((error) => error.field);

const deleted: Cluster = required(
  await client.DELETE(`${root}/clusters/{cluster_id}`, { params: { path: { cluster_id } } }),
);

console.log(JSON.stringify({ phases, generation: changed.generation, fields, deleted: deleted.deleted_time !== undefined }));
