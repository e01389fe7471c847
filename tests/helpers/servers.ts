import { existsSync } from "node:fs";
import { join } from "node:path";
import { isInstalled } from "./programs.ts";

const PARTS = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/** Debian has PostgreSQL's programs in a directory for each version, outside of the path. */
const POSTGRES = newestIn("/usr/lib/postgresql");

export const HAS_POSTGRES = POSTGRES !== undefined && isInstalled("psql");
/** The variable `GOSCON_REDIS` names another one, as Valkey's. */
export const REDIS = Deno.env.get("GOSCON_REDIS") ?? "redis-server";
export const HAS_REDIS = isInstalled(REDIS) && isInstalled("redis-cli");
export const HAS_NGINX = isInstalled("nginx") && isInstalled("curl");

/** A real server that listens on a Unix socket and keeps all it has in a directory of its own, which goes with it. */
export class Server implements AsyncDisposable {
  readonly socket: string;
  readonly #dir: string;
  readonly #child: Deno.ChildProcess;
  readonly #said: Promise<string>;
  readonly #status: Promise<unknown>;
  #ended = false;

  private constructor(dir: string, socket: string, [command, ...args]: string[]) {
    this.#dir = dir;
    this.socket = socket;
    this.#child = new Deno.Command(command!, { args, cwd: dir, stdin: "null", stdout: "null", stderr: "piped" })
      .spawn();
    this.#said = new Response(this.#child.stderr).text();
    this.#status = this.#child.status.finally(() => this.#ended = true);
  }

  /** Starts it in `dir`, and waits until `probe`, a command, succeeds. */
  static async start(dir: string, socket: string, command: string[], probe: string[]): Promise<Server> {
    const server = new Server(dir, join(dir, socket), command);
    while (!await succeeds(probe)) {
      if (server.#ended) throw new Error(`${command.join(" ")} ended before it served: ${await server.#said}`);
    }
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // To PostgreSQL this says: at once, with all its processes.
    if (!this.#ended) this.#child.kill("SIGQUIT");
    await Promise.all([this.#status, this.#said]);
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** PostgreSQL with an empty database `postgres`, whose user of that name needs no password. */
export async function postgres(): Promise<Server> {
  const dir = await Deno.makeTempDir();
  // It does not run as root.
  const isRoot = Deno.uid() === 0;
  const as = isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] : [];
  if (isRoot) await run(["chown", "postgres", dir]);
  const data = join(dir, "data");
  await run([...as, join(POSTGRES!, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--locale=C", "--no-sync"]);
  const command = [...as, join(POSTGRES!, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-F"];
  return await Server.start(dir, ".s.PGSQL.5432", command, ["psql", "-h", dir, "-U", "postgres", "-c", ""]);
}

/** Redis, which keeps nothing on the disk. */
export async function redis(): Promise<Server> {
  const dir = await Deno.makeTempDir();
  const socket = join(dir, "redis.sock");
  const command = [REDIS, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no"];
  return await Server.start(dir, "redis.sock", command, ["redis-cli", "-s", socket, "ping"]);
}

/** nginx, which serves one file. */
export async function nginx(name: string, content: Uint8Array): Promise<Server> {
  const dir = await Deno.makeTempDir();
  await Deno.writeFile(join(dir, name), content);
  return await startNginx(dir, { rule: `root ${dir};`, probe: ["http://localhost/nginx.conf"] });
}

/** nginx, which wants the PROXY protocol first, and answers with the client's address by it, in angle brackets. */
export async function nginxOfProxies(): Promise<Server> {
  const rule = `default_type text/plain; return 200 "<$proxy_protocol_addr>";`;
  const probe = ["--haproxy-protocol", "http://localhost/"];
  return await startNginx(await Deno.makeTempDir(), { bind: "proxy_protocol", rule, probe });
}

/** `bind`: an option of where it listens. `rule`: what it serves. `probe`: what curl is to ask it for. */
async function startNginx(
  dir: string,
  { bind = "", rule, probe }: { bind?: string; rule: string; probe: string[] },
): Promise<Server> {
  const socket = join(dir, "nginx.sock");
  await Deno.writeTextFile(
    join(dir, "nginx.conf"),
    `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events {}
http {
    access_log off;
    ${PARTS.map((part) => `${part}_temp_path ${dir}/${part};`).join("\n    ")}
    server {
        listen unix:${socket} ${bind};
        ${rule}
    }
}
`,
  );
  const curl = ["curl", "-q", "-sS", "--noproxy", "*", "--unix-socket", socket, ...probe];
  return await Server.start(dir, "nginx.sock", ["nginx", "-e", "stderr", "-c", join(dir, "nginx.conf")], curl);
}

async function run([command, ...args]: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command!, { args, cwd: "/", stdout: "null" }).output();
  if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
}

async function succeeds([command, ...args]: string[]): Promise<boolean> {
  return (await new Deno.Command(command!, { args, stdin: "null", stdout: "null", stderr: "null" }).output()).success;
}

function newestIn(dir: string): string | undefined {
  if (!existsSync(dir)) return undefined;
  const versions = [...Deno.readDirSync(dir)].map(({ name }) => Number(name)).toSorted((a, b) => b - a);
  return versions.map((version) => join(dir, String(version), "bin")).find((bin) => existsSync(join(bin, "initdb")));
}
