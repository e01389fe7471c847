/** Networks of Linux with many machines, between any two of which the cable can be cut: for whoever may make them, as root may. */

/** Runs `ip` with these words. Throws when it fails. */
function ip(words: string): void {
  const { success, stderr } = new Deno.Command("ip", { args: words.split(" "), stderr: "piped" }).outputSync();
  if (!success) throw new Error(`ip ${words}: ${new TextDecoder().decode(stderr)}`);
}

/** Nobody has it: what is sent there is lost without a word. */
const NOBODY = "02:00:00:00:00:fe";
/** How many addresses the tests themselves have. */
const HERE = 3;

let made = 0;

/** A machine: a network namespace with one address. */
export interface Machine {
  hostname: string;
  /** The command that runs another one there. */
  by: string[];
}

/** One network, to which the tests are connected as well, by addresses of their own. */
export class Lan implements Disposable {
  readonly #name = `gl${Deno.pid}-${made}`;
  readonly #device = `gl${Deno.pid % 1_000_000}-${made}`;
  readonly #net = `10.${64 + Deno.pid % 128}.${(Math.floor(Deno.pid / 128) + made++) % 256}`;
  readonly #machines: string[] = [];
  readonly #cut = new Set<string>();

  /** Throws when that is not allowed, or not to be had. */
  constructor() {
    ip(`netns add ${this.#name}`);
    try {
      ip(`-n ${this.#name} link add bridge type bridge forward_delay 0`);
      ip(`-n ${this.#name} link set bridge up`);
      ip(`link add ${this.#device} type veth peer name here netns ${this.#name}`);
      this.#plug("here");
      for (let i = 0; i < HERE; i++) ip(`addr add ${this.here(i)}/24 dev ${this.#device}`);
      ip(`link set ${this.#device} up`);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** An address of the tests: 0 to 2, each of which can be cut from a machine alone. */
  here(number: number): string {
    return `${this.#net}.${1 + number}`;
  }

  /** Connects another machine. */
  add(): Machine {
    const number = this.#machines.length;
    const name = `${this.#name}-${number}`;
    const hostname = `${this.#net}.${10 + number}`;
    ip(`netns add ${name}`);
    this.#machines.push(hostname);
    ip(`-n ${this.#name} link add port${number} type veth peer name eth0 netns ${name}`);
    this.#plug(`port${number}`);
    ip(`-n ${name} link set lo up`);
    ip(`-n ${name} addr add ${hostname}/24 dev eth0`);
    ip(`-n ${name} link set eth0 up`);
    return { hostname, by: ["ip", "netns", "exec", name] };
  }

  /** Of what the machine `from` sends to that address nothing arrives any more, and nobody is told; the other way as well, to a machine. */
  cut(from: string, to: string): void {
    for (const [one, other] of this.#ways(from, to)) {
      ip(`${this.#at(one)} neigh replace ${other} lladdr ${NOBODY} nud permanent dev eth0`);
      this.#cut.add(`${one} ${other}`);
    }
  }

  /** All arrives again. */
  heal(from: string, to: string): void {
    for (const [one, other] of this.#ways(from, to)) {
      if (this.#cut.delete(`${one} ${other}`)) ip(`${this.#at(one)} neigh del ${other} dev eth0`);
    }
  }

  /** The machine is connected to nobody any more, or is again. */
  plug(hostname: string, isIn: boolean): void {
    ip(`-n ${this.#name} link set port${this.#machines.indexOf(hostname)} ${isIn ? "up" : "down"}`);
  }

  /** With all machines; what runs there goes on without a network. */
  [Symbol.dispose](): void {
    for (const number of this.#machines.keys()) ip(`netns del ${this.#name}-${number}`);
    ip(`netns del ${this.#name}`);
  }

  #plug(port: string): void {
    ip(`-n ${this.#name} link set ${port} master bridge`);
    ip(`-n ${this.#name} link set ${port} up`);
  }

  #at(hostname: string): string {
    return `-n ${this.#name}-${this.#machines.indexOf(hostname)}`;
  }

  /** Those ways whose beginning is a machine. */
  #ways(from: string, to: string): [string, string][] {
    return [[from, to] as [string, string], [to, from] as [string, string]]
      .filter(([one]) => this.#machines.includes(one));
  }
}

/** Whether such networks can be made here. */
export const HAS_LANS = (() => {
  try {
    using lan = new Lan();
    lan.add();
    return true;
  } catch {
    return false;
  }
})();
