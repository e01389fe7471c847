import assert from "node:assert/strict";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Secret } from "kubernetes-models/v1/Secret";
import { Service } from "kubernetes-models/v1/Service";
import { parseAllDocuments } from "yaml";
import { faultsOf, type Model } from "./strictly.ts";

const MANIFESTS = new URL("../../lib/docs/kubernetes/", import.meta.url);

// deno-lint-ignore no-explicit-any -- what a file holds is what the schemas are to tell
type Anything = any;

const KINDS = [Deployment, PodDisruptionBudget, Secret, Service, StatefulSet] as {
  new (data: Anything): Model;
  apiVersion: string;
  kind: string;
}[];

/** The objects of a file, as kubectl reads it: by YAML 1.1. */
function objectsOf(file: string): Anything[] {
  const text = Deno.readTextFileSync(new URL(file, MANIFESTS));
  return parseAllDocuments(text, { version: "1.1" }).map((document) => document.toJS()).filter((object) => object);
}

/** What is wrong with an object; one of a kind that is not known here has no schema to go by. */
function faults(object: Anything): string[] {
  const kind = KINDS.find(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind);
  return kind ? faultsOf(new kind(object)) : [`no schema for ${object.apiVersion} ${object.kind}`];
}

for (const { name } of Deno.readDirSync(MANIFESTS)) {
  for (const object of objectsOf(name)) {
    Deno.test(`${name}: ${object.kind} ${object.metadata.name} is as Kubernetes' schema says, and has no unknown key`, () => {
      assert.deepEqual(faults(object), []);
    });
  }
}

/** Changes to the StatefulSet, each with what is told of it. */
const WRONG: [what: string, change: (set: Anything) => void, told: RegExp][] = [
  ["a key that is unknown", ({ spec }) => spec.replicsa = 3, /^\/spec\/replicsa$/],
  ["one in a container", ({ spec }) => spec.template.spec.containers[0].prots = [], /^\/spec.*\/containers\/0\/prots$/],
  ["one of a probe", ({ spec }) => spec.template.spec.containers[0].livenessProbe.httpGet.prot = 1, /httpGet\/prot$/],
  ["a text for a number", ({ spec }) => spec.replicas = "3", /\/spec\/replicas .*integer/],
  ["a value that is none of those there are", ({ spec }) => spec.podManagementPolicy = "parallel", /podManagement/],
  ["a key that is missing", ({ spec }) => delete spec.selector, /selector/],
  ["a number for a label", ({ metadata }) => metadata.labels.app = 1, /\/metadata\/labels\/app .*string/],
];

for (const [what, change, told] of WRONG) {
  Deno.test(`the schema finds ${what}`, () => {
    const set = objectsOf("origins.yaml").find(({ kind }) => kind === "StatefulSet");
    change(set);
    const [fault, ...more] = faults(set);
    assert.match(fault ?? "", told);
    assert.deepEqual(more, []);
  });
}
