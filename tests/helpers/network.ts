/** Networks of Linux, in which a peer can vanish without a word: for whoever may make them, as root may. */

/** Runs `ip` with these words. Throws when it fails. */
function ip(words: string): void {
  const { success, stderr } = new Deno.Command("ip", { args: words.split(" "), stderr: "piped" }).outputSync();
  if (!success) throw new Error(`ip ${words}: ${new TextDecoder().decode(stderr)}`);
}

let made = 0;

/** A network namespace, with two cables from here into it. */
export class Network implements Disposable {
  readonly #name = `goscon-${Deno.pid}-${made++}`;
  /** Of the addresses for tests of networks (RFC 2544): here, and there, of each cable. */
  readonly #ends = [2 * made, 2 * made + 1].map((n) => {
    const net = `198.${18 + Deno.pid % 2}.${(Deno.pid + n) % 256}`;
    return { device: `g${Deno.pid % 100_000}-${n}`, here: `${net}.1`, there: `${net}.2` };
  });

  /** Throws when that is not allowed, or not to be had. */
  constructor() {
    ip(`netns add ${this.#name}`);
    try {
      ip(`-n ${this.#name} link set lo up`);
      for (const [i, { device, here, there }] of this.#ends.entries()) {
        ip(`link add ${device} type veth peer name eth${i} netns ${this.#name}`);
        ip(`addr add ${here}/30 dev ${device}`);
        ip(`link set ${device} up`);
        ip(`-n ${this.#name} addr add ${there}/30 dev eth${i}`);
        ip(`-n ${this.#name} link set eth${i} up`);
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The command that runs another one in there. */
  get inside(): string[] {
    return ["ip", "netns", "exec", this.#name];
  }

  /** The address of an end here, and there. */
  here(cable: 0 | 1): string {
    return this.#ends[cable]!.here;
  }

  there(cable: 0 | 1): string {
    return this.#ends[cable]!.there;
  }

  /** Nothing goes over that cable any more, and nobody is told. */
  cut(cable: 0 | 1): void {
    ip(`link set ${this.#ends[cable]!.device} down`);
  }

  /** For how many milliseconds nothing was acknowledged of what is sent from there to an address here. */
  silence(to: string): number {
    const [command, ...args] = [...this.inside, "ss", "-tinH", "dst", to];
    const said = new TextDecoder().decode(new Deno.Command(command!, { args }).outputSync().stdout);
    return Number(/lastack:(\d+)/.exec(said)?.[1] ?? 0);
  }

  /** With all that is in it. */
  [Symbol.dispose](): void {
    ip(`netns del ${this.#name}`);
  }
}

/** Whether networks can be made here. */
export const HAS_NETWORKS = (() => {
  try {
    new Network()[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
})();
