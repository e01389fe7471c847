import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { type Config, ConfigError, parseConfig } from "../../lib/config.ts";

// deno-lint-ignore no-explicit-any -- whether it is as Kubernetes' schemas say is checked in tests/kubernetes
type Anything = any;

const MANIFESTS = new URL("../../lib/docs/kubernetes/", import.meta.url);

/** What a file is of: its objects, by kind, and what its pods are. */
interface Manifest {
  kinds: Record<string, Anything>;
  pod: Anything;
  container: Anything;
  config: Config;
  written: string;
}

/** What is to be filled in: without it goscon refuses to start. */
const fillIn = (config: string) => config.replace('manager_token: ""', "manager_token: a token");

function read(file: string): Manifest {
  const text = Deno.readTextFileSync(new URL(file, MANIFESTS));
  const objects = parseAllDocuments(text, { version: "1.1" }).map((document) => document.toJS()).filter(Boolean);
  const kinds = Object.fromEntries(objects.map((object) => [object.kind, object]));
  const { spec: pod } = (kinds.StatefulSet ?? kinds.Deployment).spec.template;
  const written = kinds.Secret.stringData["config.yaml"];
  const { config, warnings } = parseConfig(fillIn(written), file);
  assert.deepEqual(warnings, []);
  return { kinds, pod, container: pod.containers[0], config, written };
}

const origins = read("origins.yaml");
const edges = read("edges.yaml");
const FILES: [string, Manifest][] = [["origins.yaml", origins], ["edges.yaml", edges]];

function portOf({ container }: Manifest, name: string): number {
  return container.ports.find((port: Anything) => port.name === name).containerPort;
}

for (const [file, manifest] of FILES) {
  const { kinds, pod, container, config, written } = manifest;
  const set = kinds.StatefulSet ?? kinds.Deployment;

  Deno.test(`${file}: the configuration wants a token of the manager, and nothing else`, () => {
    const missing = (error: Error) => error instanceof ConfigError && /manager_token/.test(error.faults.join());
    assert.throws(() => parseConfig(written, file), missing);
  });

  Deno.test(`${file}: what selects pods selects these, and only these`, () => {
    const { labels } = set.spec.template.metadata;
    assert.deepEqual(set.spec.selector.matchLabels, labels);
    assert.deepEqual(kinds.Service.spec.selector, labels);
    assert.deepEqual(kinds.PodDisruptionBudget.spec.selector.matchLabels, labels);
    const spread = pod.affinity?.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm;
    assert.deepEqual((spread ?? pod.topologySpreadConstraints[0]).labelSelector.matchLabels, labels);
    assert.notDeepEqual(origins.kinds.StatefulSet.spec.selector, edges.kinds.Deployment.spec.selector);
  });

  Deno.test(`${file}: ports are those that the configuration has`, () => {
    assert.equal(portOf(manifest, "cluster"), config.cluster!.listen.port);
    assert.equal(portOf(manifest, "manager"), config.manager!.port);
    for (const { hostname } of [config.cluster!.listen, config.manager!]) assert.equal(hostname, "0.0.0.0");
    const names = container.ports.map(({ name }: Anything) => name);
    for (const { port, targetPort } of kinds.Service.spec.ports) {
      assert(names.includes(targetPort));
      assert.equal(port, portOf(manifest, targetPort));
    }
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      assert.equal(container[probe].httpGet.port, "manager");
    }
  });

  Deno.test(`${file}: a pod is given the time that its drain takes`, () => {
    const { cluster, drainTimeout, shutdownTimeout } = config;
    const seconds = container.lifecycle?.preStop.sleep.seconds ?? 0;
    const drain = seconds + (cluster!.drainDelay + drainTimeout + shutdownTimeout) / 1000;
    assert(pod.terminationGracePeriodSeconds >= drain + 5);
  });

  Deno.test(`${file}: files are where the configuration looks for them, and the group of the process may read them`, () => {
    const { tls, stateDir } = config.cluster!;
    const mounts = new Map(container.volumeMounts.map((mount: Anything) => [mount.mountPath, mount]));
    for (const path of [tls!.caFile, tls!.certFile, tls!.keyFile, `${stateDir ?? "/etc/goscon"}/slots.json`]) {
      assert(mounts.has(path.replace(/\/[^/]*$/, "")), path);
    }
    assert(mounts.has("/etc/goscon"), "of the image's --config");
    for (const { name, mountPath } of container.volumeMounts) {
      const { secret } = pod.volumes.find((volume: Anything) => volume.name === name);
      assert.equal(secret?.defaultMode ?? 0o440, 0o440, mountPath);
    }
    assert.equal(
      pod.volumes.find(({ name }: Anything) => name === "config").secret.secretName,
      kinds.Secret.metadata.name,
    );
    assert.equal(pod.securityContext.fsGroup, pod.securityContext.runAsGroup);
  });

  Deno.test(`${file}: there are as many threads as CPUs are asked for`, () => {
    assert.equal(config.workers, Number(container.resources.requests.cpu));
    assert(Number(container.resources.requests.cpu) <= config.cluster!.threads);
  });
}

Deno.test("nodes and edges are of one cluster, and find the nodes by the Service and the name of their StatefulSet", () => {
  const [ofNodes, ofEdges] = [origins.config.cluster!, edges.config.cluster!];
  for (const key of ["name", "slots", "threads", "discovery", "dns", "tls"] as const) {
    assert.deepEqual(ofEdges[key], ofNodes[key], key);
  }
  assert.deepEqual([ofNodes.role, ofEdges.role], ["node", "edge"]);
  const { StatefulSet: set, Service: service } = origins.kinds;
  assert.equal(set.spec.serviceName, service.metadata.name);
  assert.equal(ofNodes.dns!.service.split(".")[0], set.metadata.name);
  assert.equal(ofNodes.dns!.service.split(".")[0], service.metadata.name);
  assert.equal(ofNodes.dns!.port, ofNodes.listen.port);
  assert.deepEqual([service.spec.clusterIP, service.spec.publishNotReadyAddresses], ["None", true]);
  assert(set.spec.replicas <= ofNodes.slots);
});

Deno.test("clients reach the edges, and nobody the listener of the nodes", () => {
  assert.equal(edges.kinds.Service.spec.ports[0].port, edges.config.listen[0]!.port);
  assert.deepEqual(origins.config.listen.map(({ hostname }) => hostname), ["127.0.0.1"]);
});
