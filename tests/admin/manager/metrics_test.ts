import assert from "node:assert/strict";
import { metricsText } from "../../../lib/admin/manager/metrics.ts";
import type { Snapshot } from "../../../lib/proxy/data_plane.ts";
import { countCode, Stats } from "../../../lib/proxy/stats.ts";
import { clusterInfo, describedNode } from "../../helpers/cluster_info.ts";
import { HAS_PROMTOOL } from "../../helpers/programs.ts";

/** A proxy to which a little of everything has happened. */
function snapshot(): Snapshot {
  const stats = new Stats();
  Object.assign(stats, { accepts: 9, acceptFails: 1, closes: 4, reuseFails: 2, upstreamFails: 3, bytesReceived: 1000 });
  countCode(stats.handshakeErrors, 400);
  for (const code of [200, 200, 404, 410] as const) countCode(stats.resumes, code);
  for (const bytes of [0, 10, 2000, 2e9]) stats.resent.observe(bytes);
  stats.gap.observe(0.25);
  stats.gap.observe(0.26);
  stats.sessionsEnded.reuse_timeout = 5;
  stats.sessionsEnded.limit = 6;
  stats.refused.key_derivations = 55;
  Object.assign(stats, { pingTimeouts: 50, moves: 51, keyDerivations: 52 });
  const counted = { in: 61, out: 62, repeated: 63, outside: 64, fast: 65, early: 66, timeout: 67, rebuilt: 68 };
  Object.assign(stats.kcp.segments, counted);
  Object.assign(stats.kcp.junk, { unknown: 69, fec: 70 });
  return {
    stats,
    gauges: {
      sessions: { connecting: 1, attached: 2, detached: 3 },
      versions: { 1: 2, 2: 4 },
      handshakes: 7,
      carrying: 8,
      draining: true,
      bytesReceived: 234,
      bytesSent: 0,
      cacheBytes: 11,
      cacheHighWater: 22,
      cachesReleased: 33,
      cachesShrunk: 34,
      windowBytes: 45,
      gone: 46,
      keysWaiting: 47,
      kcp: { conversations: 9, unproven: 2, roundTrips: 900, measured: 6, tooLong: 71, unsent: 72 },
      logDropped: 44,
    },
    io: { name: "deno", why: "only on Linux" },
    threads: [true, false],
    upstreams: [
      { name: "a", address: "10.0.0.1:1", status: "up", backup: false, weight: 1, sessions: 6, failures: 0 },
      { name: 'q"\\', address: "unix:/a\nb", status: "out", backup: true, weight: 1, sessions: 0, failures: 8 },
    ],
  };
}

Deno.test("metricsText() has the names of the Go program, with its meaning", async () => {
  const lines = (await metricsText(snapshot())).split("\n");
  for (
    const line of [
      "goscon_connection_accepts 9",
      "goscon_connection_accept_fails 1",
      "goscon_connection_close 4",
      'goscon_handshake_errors{code="400"} 1',
      "goscon_connection_reuses 2",
      'goscon_connection_resend{quantile="0.5"} 1024',
      'goscon_connection_resend{quantile="0.99"} 16777216',
      "goscon_connection_resend_sum 2000002010",
      "goscon_connection_resend_count 4",
      "goscon_connection_reuse_fails 2",
      "goscon_upstream_fails 3",
    ]
  ) assert(lines.includes(line), `there is no ${line} in\n${lines.join("\n")}`);
});

Deno.test("metricsText() tells what users feel", async () => {
  const lines = (await metricsText(snapshot())).split("\n");
  for (
    const line of [
      'goscon_sessions{state="detached"} 3',
      'goscon_resumes_total{code="404"} 1',
      'goscon_resume_gap_seconds_bucket{le="0.1"} 0',
      'goscon_resume_gap_seconds_bucket{le="0.25"} 1',
      'goscon_resume_gap_seconds_bucket{le="0.5"} 2',
      'goscon_resume_gap_seconds_bucket{le="+Inf"} 2',
      "goscon_resume_gap_seconds_sum 0.51",
      "goscon_resume_gap_seconds_count 2",
      'goscon_resume_resent_bytes_bucket{le="+Inf"} 4',
      "goscon_resend_cache_bytes 11",
      "goscon_resend_cache_high_water_bytes 22",
      'goscon_sessions_ended_total{reason="reuse_timeout"} 5',
      "goscon_received_bytes_total 1234",
      'goscon_upstream_up{name="a",address="10.0.0.1:1"} 1',
      'goscon_upstream_up{name="q\\"\\\\",address="unix:/a\\nb"} 0',
      'goscon_upstream_failures_total{name="q\\"\\\\",address="unix:/a\\nb"} 8',
      "goscon_draining 1",
      "goscon_log_dropped_total 44",
      'goscon_io_info{io="deno",why="only on Linux"} 1',
    ]
  ) assert(lines.includes(line), `there is no ${line} in\n${lines.join("\n")}`);
  assert(lines.some((line) => /^goscon_build_info\{version="\d+\.\d+\.\d+",deno=".*",target=".*"\} 1$/.test(line)));
});

Deno.test("metricsText() tells of upgrades, and of the last one when there was one", async () => {
  const before = (await metricsText(snapshot())).split("\n");
  assert(before.includes('goscon_upgrades_total{result="done"} 0'));
  assert(!before.some((line) => line.startsWith("goscon_upgrade_")));
  const last = { at: 1_700_000_000_500, took: 1500, sessions: 12, standStill: { p50: 1.5, p99: 2.5, longest: 3.5 } };
  const lines = (await metricsText(snapshot(), { done: 4, failed: 2, last })).split("\n");
  for (
    const line of [
      'goscon_upgrades_total{result="done"} 4',
      'goscon_upgrades_total{result="failed"} 2',
      "goscon_upgrade_timestamp_seconds 1700000000.5",
      "goscon_upgrade_duration_seconds 1.5",
      "goscon_upgrade_sessions 12",
      'goscon_upgrade_stand_still_seconds{quantile="0.5"} 0.0015',
      'goscon_upgrade_stand_still_seconds{quantile="0.99"} 0.0025',
      'goscon_upgrade_stand_still_seconds{quantile="1"} 0.0035',
    ]
  ) assert(lines.includes(line), `there is no ${line} in\n${lines.join("\n")}`);
});

Deno.test("metricsText() tells what version 2 does", async () => {
  const lines = (await metricsText(snapshot())).split("\n");
  for (
    const line of [
      'goscon_sessions_by_version{version="1"} 2',
      'goscon_sessions_by_version{version="2"} 4',
      'goscon_sessions_ended_total{reason="limit"} 6',
      'goscon_sessions_ended_total{reason="client_closed"} 0',
      'goscon_resumes_total{code="410"} 1',
      "goscon_ping_timeouts_total 50",
      "goscon_moves_total 51",
      "goscon_window_bytes 45",
      "goscon_sessions_gone 46",
      "goscon_key_derivations_total 52",
      "goscon_key_derivations_waiting 47",
      'goscon_refused_total{reason="key_derivations"} 55',
    ]
  ) assert(lines.includes(line), `there is no ${line} in\n${lines.join("\n")}`);
});

Deno.test("metricsText() tells of KCP", async () => {
  const lines = (await metricsText(snapshot())).split("\n");
  for (
    const line of [
      'goscon_kcp_conversations{state="proven"} 7',
      'goscon_kcp_conversations{state="unproven"} 2',
      "goscon_kcp_segments_received_total 61",
      "goscon_kcp_segments_sent_total 62",
      "goscon_kcp_segments_repeated_total 63",
      "goscon_kcp_segments_outside_total 64",
      'goscon_kcp_segments_resent_total{cause="fast"} 65',
      'goscon_kcp_segments_resent_total{cause="early"} 66',
      'goscon_kcp_segments_resent_total{cause="timeout"} 67',
      "goscon_kcp_datagrams_rebuilt_total 68",
      'goscon_kcp_datagrams_refused_total{reason="unknown"} 69',
      'goscon_kcp_datagrams_refused_total{reason="fec"} 70',
      'goscon_kcp_datagrams_refused_total{reason="cut"} 0',
      'goscon_kcp_datagrams_lost_total{reason="too_long"} 71',
      'goscon_kcp_datagrams_lost_total{reason="unsent"} 72',
      "goscon_kcp_round_trip_seconds 0.15",
    ]
  ) assert(lines.includes(line), `there is no ${line} in\n${lines.join("\n")}`);
});

/** The same one, as a node of a cluster. */
function snapshotOfNode(): Snapshot {
  const nodes = [
    describedNode(2, { epoch: 4 }),
    // Who had the slot before.
    describedNode(2, { epoch: 3, instance: "former", state: "refused" }),
    describedNode(3, { state: "away" }),
    describedNode(1, { epoch: 4, instance: "before", state: "refused" }),
    // Two that do not know of each other yet.
    describedNode(4),
    describedNode(4, { instance: "other" }),
  ];
  // Of node 5 nothing is known any more.
  const carried = { 2: { connections: 5, failures: 13 }, 5: { connections: 0, failures: 1 } };
  const edges = [{ instance: "edge", since: 7 }];
  const cluster = clusterInfo(nodes, { self: { conflict: "it is another's" }, edges, carried });
  const { stats, ...more } = snapshot();
  Object.assign(stats, { peersRefused: 9 });
  return { ...more, stats, cluster };
}

Deno.test("metricsText() tells of the cluster, by slot, where there is one", async () => {
  const lines = (await metricsText(snapshotOfNode())).split("\n");
  for (
    const line of [
      'goscon_cluster_info{name="game",role="node",node="1",epoch="5",id="self"} 1',
      'goscon_cluster_node_up{node="2"} 1',
      'goscon_cluster_node_up{node="3"} 0',
      'goscon_cluster_node_up{node="4"} 1',
      'goscon_cluster_carried{node="2"} 5',
      'goscon_cluster_carry_failures_total{node="2"} 13',
      'goscon_cluster_carried{node="3"} 0',
      'goscon_cluster_carry_failures_total{node="3"} 0',
      'goscon_cluster_carry_failures_total{node="5"} 1',
      "goscon_cluster_carrying 8",
      "goscon_cluster_takes_new 1",
      "goscon_cluster_conflict 1",
      "goscon_cluster_edges 1",
      "goscon_cluster_peers_refused_total 9",
    ]
  ) assert(lines.includes(line), `there is no ${line} in\n${lines.join("\n")}`);
  assert.doesNotMatch(lines.join("\n"), /goscon_cluster_node_up\{node="1"\}/, "it is this one's");
  assert.doesNotMatch(await metricsText(snapshot()), /cluster/);
});

Deno.test("metricsText() of an edge has neither a slot nor an epoch", async () => {
  const cluster = clusterInfo([describedNode(2)], { self: { role: "edge", takesNew: false } });
  const lines = (await metricsText({ ...snapshot(), cluster })).split("\n");
  assert(lines.includes('goscon_cluster_info{name="game",role="edge",node="",epoch="",id="self"} 1'), lines.join("\n"));
  assert(lines.includes("goscon_cluster_takes_new 0"));
});

Deno.test("metricsText() tells how many descriptors may be open", { ignore: Deno.build.os !== "linux" }, async () => {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "ulimit -Sn"] }).output();
  const limit = new TextDecoder().decode(stdout).trim();
  assert.match(await metricsText(snapshot()), new RegExp(`^process_max_fds ${limit}$`, "m"));
});

Deno.test("metricsText() has no quantiles before there was a resume", async () => {
  const text = await metricsText({ ...snapshot(), stats: new Stats() });
  assert.match(text, /^goscon_connection_resend\{quantile="0.5"\} Nan$/mi);
});

Deno.test("promtool finds nothing to say of the metrics", { ignore: !HAS_PROMTOOL }, async () => {
  const promtool = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  await using child = promtool.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(await metricsText(snapshotOfNode())));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.deepEqual([code, said], [0, ""]);
});
