import assert from "node:assert/strict";
import { metricsText } from "../../lib/admin/metrics.ts";
import type { Snapshot } from "../../lib/proxy/data_plane.ts";
import { countCode, Stats } from "../../lib/proxy/stats.ts";
import { HAS_PROMTOOL } from "../helpers/programs.ts";

/** A proxy to which a little of everything has happened. */
function snapshot(): Snapshot {
  const stats = new Stats();
  Object.assign(stats, { accepts: 9, acceptFails: 1, closes: 4, reuseFails: 2, upstreamFails: 3, bytesReceived: 1000 });
  countCode(stats.handshakeErrors, 400);
  for (const code of [200, 200, 404] as const) countCode(stats.resumes, code);
  for (const bytes of [0, 10, 2000, 2e9]) stats.resent.observe(bytes);
  stats.gap.observe(0.25);
  stats.gap.observe(0.26);
  stats.sessionsEnded.reuse_timeout = 5;
  return {
    stats,
    gauges: {
      sessions: { connecting: 1, attached: 2, detached: 3 },
      handshakes: 7,
      draining: true,
      bytesReceived: 234,
      bytesSent: 0,
      cacheBytes: 11,
      cacheHighWater: 22,
      cachesReleased: 33,
      cachesShrunk: 34,
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
      'goscon_io_info{io="deno"} 1',
    ]
  ) assert(lines.includes(line), `there is no ${line} in\n${lines.join("\n")}`);
  assert(lines.some((line) => /^goscon_build_info\{version="\d+\.\d+\.\d+",deno=".*",target=".*"\} 1$/.test(line)));
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
  await writer.write(new TextEncoder().encode(await metricsText(snapshot())));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.deepEqual([code, said], [0, ""]);
});
