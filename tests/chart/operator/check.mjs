// Reads a list of manifests and writes for each what the operator's schema has against it, null for nothing.
import { readFileSync } from "node:fs";
import * as operator from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const said = JSON.parse(readFileSync(0, "utf8")).map((manifest) => {
  try {
    new operator[manifest.kind](manifest).validate();
    return null;
  } catch (failure) {
    return failure.message;
  }
});
console.log(JSON.stringify(said));
