// Reads a list of manifests and writes for each what its schema has against it, null for nothing.
import { readFileSync } from "node:fs";
import * as operator from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
import * as gateway from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";

const models = { "monitoring.coreos.com/v1": operator, "gateway.networking.k8s.io/v1": gateway };
const said = JSON.parse(readFileSync(0, "utf8")).map((manifest) => {
  try {
    new models[manifest.apiVersion][manifest.kind](manifest).validate();
    return null;
  } catch (failure) {
    return failure.message;
  }
});
console.log(JSON.stringify(said));
