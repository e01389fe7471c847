import { existsSync } from "node:fs";
import { join } from "node:path";
import { isInstalled } from "./programs.ts";
import { Server } from "./servers.ts";

/** sshd has to be started by its whole path. */
const SSHD = "/usr/sbin/sshd";
/** Where sshd locks itself in when root starts it: it must be there, and be empty. */
const ROOTS_CELL = "/run/sshd";

export const HAS_SSH = existsSync(SSHD) && isInstalled("ssh") && isInstalled("ssh-keygen");

/** A real sshd with keys of its own, which lets in the user that runs the tests, and nobody else. */
export class Sshd implements AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  /** Of its own: it goes with it. */
  readonly dir: string;
  readonly #server: Server;

  private constructor(server: Server, dir: string, port: number) {
    this.#server = server;
    this.dir = dir;
    this.address = `127.0.0.1:${port}`;
  }

  /** Starts one, and waits until it lets this user in. */
  static async start(): Promise<Sshd> {
    const dir = await Deno.makeTempDir();
    for (const name of ["host", "user"]) {
      const args = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(dir, name)];
      const { success } = await new Deno.Command("ssh-keygen", { args }).output();
      if (!success) throw new Error("ssh-keygen failed");
    }
    await Deno.writeTextFile(join(dir, "known_hosts"), `here ${await Deno.readTextFile(join(dir, "host.pub"))}`);
    if (Deno.uid() === 0) await Deno.mkdir(ROOTS_CELL, { recursive: true, mode: 0o755 });
    for (let attempts = 1;; attempts++) {
      const port = portOnce();
      await Deno.writeTextFile(join(dir, "config"), configOf(dir, port));
      const command = [SSHD, "-D", "-e", "-f", join(dir, "config")];
      try {
        const server = await Server.start(dir, "", command, [...ssh(dir, port), "127.0.0.1", "true"]);
        return new Sshd(server, dir, port);
      } catch (error) {
        // Somebody may have taken the port.
        if (attempts === 3) throw error;
      }
    }
  }

  /** The command of ssh, without a host and a command: the host is 127.0.0.1. `port`: another way to it. */
  ssh(port: string): string[] {
    return ssh(this.dir, Number(port));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

/** One that was free a moment ago. */
function portOnce(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}

function configOf(dir: string, port: number): string {
  return `
ListenAddress 127.0.0.1:${port}
HostKey ${dir}/host
AuthorizedKeysFile ${dir}/user.pub
AuthenticationMethods publickey
# A directory for temporary files is everybody's.
StrictModes no
UsePAM no
PidFile none
LogLevel ERROR
`;
}

function ssh(dir: string, port: number): string[] {
  const options = {
    IdentityFile: join(dir, "user"),
    IdentitiesOnly: "yes",
    UserKnownHostsFile: join(dir, "known_hosts"),
    GlobalKnownHostsFile: "none",
    HostKeyAlias: "here",
    BatchMode: "yes",
    LogLevel: "ERROR",
  };
  const args = Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  return ["ssh", "-F", "none", "-p", `${port}`, ...args];
}
