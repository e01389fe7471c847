import process from "node:process";
import { Registry } from "prom-client";
import deno from "../../../deno.json" with { type: "json" };
import { descriptorLimit } from "../../link/descriptor_limit.ts";
import type { Snapshot } from "../../proxy/data_plane.ts";
import type { HistogramValues } from "../../proxy/stats.ts";
import { NO_UPGRADES, type UpgradeRecord } from "../upgrade/upgrade_record.ts";
import { addOfCluster } from "./cluster_metrics.ts";
import { type Add, byLabel, one, type Sample } from "./samples.ts";

/** The content type of `metricsText`. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** The metrics, in Prometheus' text format. `upgrades`: of this process and those before it. */
export function metricsText(snapshot: Snapshot, upgrades = NO_UPGRADES): Promise<string> {
  const registry = new Registry();
  const add: Add = (name, type, help, values) => {
    // Only what a registry asks of a metric: a name, and its values when they are wanted.
    const metric = { name, get: () => Promise.resolve({ name, type, help, values, aggregator: "sum" }) };
    registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0]);
  };
  addOfGoscon(add, snapshot);
  addOfSessions(add, snapshot);
  addOfKcp(add, snapshot);
  addOfUpstreams(add, snapshot);
  addOfCluster(add, snapshot);
  addOfProcess(add, snapshot);
  addOfUpgrades(add, upgrades);
  return registry.metrics();
}

function histogram(name: string, { bounds, counts, sum }: HistogramValues): Sample[] {
  let total = 0;
  const buckets = counts.map((count, i): Sample => {
    total += count;
    return {
      value: total,
      labels: { le: i < bounds.length ? String(bounds[i]) : "+Inf" },
      metricName: `${name}_bucket`,
    };
  });
  return [...buckets, ...sumAndCount(name, sum, total)];
}

function sumAndCount(name: string, sum: number, count: number): Sample[] {
  return [
    { value: sum, labels: {}, metricName: `${name}_sum` },
    { value: count, labels: {}, metricName: `${name}_count` },
  ];
}

/** The upper bound of the bucket in which a part `q` of all observations is reached; the last bound for those above. */
function quantile(q: number, { bounds, counts }: HistogramValues): number {
  let left = q * counts.reduce((sum, count) => sum + count, 0);
  if (left === 0) return NaN;
  const bucket = counts.findIndex((count) => (left -= count) <= 0);
  return bounds[Math.min(bucket, bounds.length - 1)]!;
}

/** The names of the Go program, which have no `_total`: so they are untyped here. */
function addOfGoscon(add: Add, { stats }: Snapshot): void {
  const { resent, resumes } = stats;
  const name = "goscon_connection_resend";
  const quantiles = [0.5, 0.9, 0.99].map((q) => ({ value: quantile(q, resent), labels: { quantile: String(q) } }));
  const count = resent.counts.reduce((sum, n) => sum + n, 0);
  add("goscon_connection_accepts", "untyped", "Connections of clients that were accepted.", one(stats.accepts));
  add("goscon_connection_accept_fails", "untyped", "Times that accepting failed.", one(stats.acceptFails));
  add("goscon_connection_close", "untyped", "Connections of clients that are closed.", one(stats.closes));
  const errors = byLabel("code", stats.handshakeErrors);
  add("goscon_handshake_errors", "untyped", "Handshakes that came to nothing, by the code of the protocol.", errors);
  add("goscon_connection_reuses", "untyped", "Resumes that succeeded.", one(resumes[200] ?? 0));
  const help = "Bytes sent again at a resume; the quantiles are upper bounds, since the start.";
  add(name, "summary", help, [...quantiles, ...sumAndCount(name, resent.sum, count)]);
  const fails = "Resumes that were authorised, and failed then.";
  add("goscon_connection_reuse_fails", "untyped", fails, one(stats.reuseFails));
  add(
    "goscon_upstream_fails",
    "untyped",
    "Clients given up because no backend could be reached.",
    one(stats.upstreamFails),
  );
}

function addOfSessions(add: Add, { stats, gauges }: Snapshot): void {
  const addHistogram = (name: string, help: string, values: HistogramValues) =>
    add(name, "histogram", help, histogram(name, values));
  add("goscon_sessions", "gauge", "Sessions that there are.", byLabel("state", gauges.sessions));
  const versions = "The same ones, by the version of the protocol.";
  add("goscon_sessions_by_version", "gauge", versions, byLabel("version", gauges.versions));
  add("goscon_sessions_begun_total", "counter", "Sessions that were begun.", one(stats.sessionsBegun));
  add("goscon_sessions_ended_total", "counter", "Sessions that ended.", byLabel("reason", stats.sessionsEnded));
  add(
    "goscon_resumes_total",
    "counter",
    "Answers to resumes, by the code of the protocol.",
    byLabel("code", stats.resumes),
  );
  addHistogram("goscon_resume_gap_seconds", "From the loss of a connection to its resume.", stats.gap);
  addHistogram("goscon_resume_resent_bytes", "Bytes sent again at a resume.", stats.resent);
  addHistogram("goscon_handshake_duration_seconds", "From accept to the answer.", stats.handshake);
  add("goscon_handshakes", "gauge", "Connections in their handshake.", one(gauges.handshakes));
  const refused = "Connections and sessions that were refused.";
  add("goscon_refused_total", "counter", refused, byLabel("reason", stats.refused));
  const [received, sent] = [stats.bytesReceived + gauges.bytesReceived, stats.bytesSent + gauges.bytesSent];
  add("goscon_received_bytes_total", "counter", "Bytes of the streams received from clients.", one(received));
  add("goscon_sent_bytes_total", "counter", "Bytes of the streams sent to clients.", one(sent));
  const caches = "Memory of all resend caches, and of each window what it holds beyond 16 KiB.";
  add("goscon_resend_cache_bytes", "gauge", caches, one(gauges.cacheBytes));
  add("goscon_resend_cache_high_water_bytes", "gauge", "The most of it so far.", one(gauges.cacheHighWater));
  const released = "Resend caches that gave way to limits.cache_bytes.";
  add("goscon_resend_caches_released_total", "counter", released, one(gauges.cachesReleased));
  const shrunk = "How often a resend cache shrank for limits.cache_bytes.";
  add("goscon_resend_caches_shrunk_total", "counter", shrunk, one(gauges.cachesShrunk));
  addOfVersion2(add, { stats, gauges });
  add("goscon_draining", "gauge", "Whether no new sessions are begun.", one(Number(gauges.draining)));
}

function addOfVersion2(add: Add, { stats, gauges }: Pick<Snapshot, "stats" | "gauges">): void {
  const timeouts = "Links of version 2 that were given up because no PING was answered.";
  add("goscon_ping_timeouts_total", "counter", timeouts, one(stats.pingTimeouts));
  add("goscon_moves_total", "counter", "How often a client of version 2 was told to move.", one(stats.moves));
  const windows = "Memory of what waits in the windows of version 2 for backends.";
  add("goscon_window_bytes", "gauge", windows, one(gauges.windowBytes));
  const gone = "Sessions of version 2 that have ended, and are remembered for clients that come back.";
  add("goscon_sessions_gone", "gauge", gone, one(gauges.gone));
  const derived = "Keys of sessions of version 2 that were derived.";
  add("goscon_key_derivations_total", "counter", derived, one(stats.keyDerivations));
  const waiting = "Key derivations that are under way, or wait for that.";
  add("goscon_key_derivations_waiting", "gauge", waiting, one(gauges.keysWaiting));
}

function addOfKcp(add: Add, { stats: { kcp: { segments, junk } }, gauges: { kcp } }: Snapshot): void {
  const { fast, early, timeout } = segments;
  const states = { unproven: kcp.unproven, proven: kcp.conversations - kcp.unproven };
  const conversations = "Conversations of KCP, by whether their client is where its datagrams say.";
  add("goscon_kcp_conversations", "gauge", conversations, byLabel("state", states));
  add("goscon_kcp_segments_received_total", "counter", "Segments of KCP that came.", one(segments.in));
  add("goscon_kcp_segments_sent_total", "counter", "Segments that were sent, again as well.", one(segments.out));
  const resent = "Segments that were sent again, by what for.";
  add("goscon_kcp_segments_resent_total", "counter", resent, byLabel("cause", { fast, early, timeout }));
  const repeated = "Segments that had come already.";
  add("goscon_kcp_segments_repeated_total", "counter", repeated, one(segments.repeated));
  const outside = "Segments that came before there was room for them.";
  add("goscon_kcp_segments_outside_total", "counter", outside, one(segments.outside));
  add("goscon_kcp_datagrams_rebuilt_total", "counter", "Datagrams that FEC rebuilt.", one(segments.rebuilt));
  const refused = "Datagrams that were dropped as they came, by why.";
  add("goscon_kcp_datagrams_refused_total", "counter", refused, byLabel("reason", junk));
  const lost = "Datagrams that sockets lost: too long, or the system did not take them.";
  const losses = { too_long: kcp.tooLong, unsent: kcp.unsent };
  add("goscon_kcp_datagrams_lost_total", "counter", lost, byLabel("reason", losses));
  const roundTrip = "How long a segment and its ACK take: the mean of all conversations.";
  add("goscon_kcp_round_trip_seconds", "gauge", roundTrip, one(kcp.roundTrips / kcp.measured / 1000));
}

function addOfUpstreams(add: Add, { stats, upstreams }: Snapshot): void {
  const each = (value: (upstream: Snapshot["upstreams"][number]) => number): Sample[] =>
    upstreams.map((upstream) => ({
      value: value(upstream),
      labels: { name: upstream.name, address: upstream.address },
    }));
  add("goscon_upstream_up", "gauge", "Whether a backend is up.", each(({ status }) => Number(status === "up")));
  add("goscon_upstream_sessions", "gauge", "Sessions of a backend.", each(({ sessions }) => sessions));
  const help = "Times that connecting to a backend failed.";
  add("goscon_upstream_failures_total", "counter", help, each(({ failures }) => failures));
  const name = "goscon_upstream_dial_duration_seconds";
  add(name, "histogram", "From dialling to connected, when that succeeded.", histogram(name, stats.dial));
}

/** Those of the last one are missing as long as there was none. */
function addOfUpgrades(add: Add, { done, failed, last }: UpgradeRecord): void {
  const attempts = "Attempts to have another process take over, of processes before this one as well.";
  add("goscon_upgrades_total", "counter", attempts, byLabel("result", { done, failed }));
  if (!last) return;
  const of = "Of the last upgrade:";
  add("goscon_upgrade_timestamp_seconds", "gauge", `${of} when it was done, since 1970.`, one(last.at / 1000));
  add("goscon_upgrade_duration_seconds", "gauge", `${of} how long it took.`, one(last.took / 1000));
  add("goscon_upgrade_sessions", "gauge", `${of} how many sessions went over.`, one(last.sessions));
  const { p50, p99, longest } = last.standStill;
  const stillSeconds = Object.entries({ "0.5": p50, "0.99": p99, "1": longest }).map(([quantile, ms]) => ({
    value: ms / 1000,
    labels: { quantile },
  }));
  add("goscon_upgrade_stand_still_seconds", "gauge", `${of} how long these stood still.`, stillSeconds);
}

function addOfProcess(add: Add, { stats, gauges, io, threads }: Snapshot): void {
  const up = threads.map((goesOn, i) => ({ value: Number(goesOn), labels: { worker: String(i) } }));
  add("goscon_worker_up", "gauge", "Whether a thread goes on: one that is hung counts as it did last.", up);
  const name = "goscon_event_loop_lag_seconds";
  add(name, "histogram", "How late the event loop was with a timer.", histogram(name, stats.lag));
  const dropped = "Lines of the log that were dropped, because standard error took no more.";
  add("goscon_log_dropped_total", "counter", dropped, one(gauges.logDropped));
  const labels = { version: deno.version, deno: Deno.version.deno, target: Deno.build.target };
  add("goscon_build_info", "gauge", "What runs.", [{ value: 1, labels }]);
  add("goscon_io_info", "gauge", "How sockets are had, and why not otherwise.", [{
    value: 1,
    labels: { io: io.name, why: io.why ?? "" },
  }]);
  const { user, system } = process.cpuUsage();
  add("process_cpu_seconds_total", "counter", "CPU time used.", one((user + system) / 1e6));
  add("process_resident_memory_bytes", "gauge", "Resident memory.", one(Deno.memoryUsage().rss));
  const limit = descriptorLimit();
  if (limit) add("process_max_fds", "gauge", "Descriptors that may be open.", one(limit.soft));
  const started = (Date.now() - performance.now()) / 1000;
  add("process_start_time_seconds", "gauge", "When the process started, since 1970.", one(started));
}
