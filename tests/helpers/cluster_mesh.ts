import { pack, type PlainData, unpack } from "../../lib/link/engine/passing/plain_data.ts";
import { joined } from "../../lib/link/joined.ts";
import { type Endpoint, formatEndpoint } from "../../lib/link/link.ts";
import { ClusterNode } from "../../lib/proxy/cluster/nodes/cluster_node.ts";
import type { Claimant, Discovery, Found } from "../../lib/proxy/cluster/discovery/discovery.ts";
import type { ClusterNodeOptions } from "../../lib/proxy/cluster/nodes/cluster_node_options.ts";
import type { Conversation } from "../../lib/proxy/cluster/nodes/conversation.ts";
import { readNodeSnapshot } from "../../lib/proxy/cluster/nodes/node_snapshot.ts";
import type { Own, Pair } from "../../lib/proxy/cluster/nodes/own/own_lives.ts";
import type { NodeView } from "../../lib/proxy/cluster/nodes/peers.ts";
import { stillTime } from "./clock.ts";
import { TestLog } from "./proxy.ts";
import { noAnswer, NoConversation } from "./scripted_peers.ts";
import { turn } from "./turns.ts";

export const at = (host: number): Endpoint => ({ hostname: `10.0.0.${host}`, port: 1250 });

/** Gives the slot and the epoch that a test says, or the epoch after the one that is remembered. */
export class ScriptedDiscovery implements Discovery {
  claimant: Claimant | undefined;
  isPassedOn = false;
  /** What another one had with which it went on. */
  had: { own: Pair | undefined; lost: readonly Pair[] } | undefined;
  onChange: (found: readonly Found[]) => void = () => {};

  constructor(readonly slot: number, readonly found: Found[] | undefined, readonly epoch?: number) {}

  claim(claimant: Claimant): Promise<Pair> {
    this.claimant = claimant;
    return Promise.resolve({ slot: this.slot, epoch: this.epoch ?? (claimant.remembered.get(this.slot) ?? 0) + 1 });
  }

  goOn(claimant: Claimant, own: Pair | undefined, lost: readonly Pair[]): void {
    this.claimant = claimant;
    this.had = { own, lost };
  }

  watch(onChange: (found: readonly Found[]) => void, known?: readonly Found[]): void {
    this.onChange = onChange;
    const found = this.found ?? known;
    if (found) onChange(found);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A process of a mesh. */
export class Member {
  readonly log = new TestLog();
  readonly closed: string[] = [];
  readonly owns: Own[] = [];
  told: NodeView[] = [];
  /** Whether it listens; whether it answers nothing, as one that the network has lost; how many answers are lost on their way. */
  isListening = false;
  isMute = false;
  answersToLose = 0;

  node!: ClusterNode;

  constructor(
    readonly role: "node" | "edge",
    readonly addr: Endpoint,
    readonly discovery: ScriptedDiscovery,
  ) {}

  /** What the threads know of other nodes: slot, epoch, instance, state. */
  get lines(): string[] {
    return this.told.map(({ slot, epoch = "-", instance = "-", state, takesNew }) =>
      `${slot} ${epoch} ${instance} ${state}${takesNew ? " new" : ""}`
    );
  }
}

/** Nodes and edges that reach each other without a network, in a time that the test has in its hands. */
export class ClusterMesh {
  readonly time = stillTime();
  readonly members: Member[] = [];
  readonly #open = new Map<(reason: string) => void, { from: Member; to: Member }>();

  /** `found`: the slots that its discovery knows from the start, at the address of that number. */
  add(
    name: string,
    { host, found, slot = host, epoch, more = {} }: {
      host: number;
      found?: number[];
      slot?: number;
      epoch?: number;
      more?: Partial<ClusterNodeOptions>;
    },
  ): Member {
    const discovery = new ScriptedDiscovery(slot, found?.map((slot) => ({ slot, addr: at(slot) })), epoch);
    const member = new Member(more.cluster?.role ?? "node", at(host), discovery);
    this.members.push(member);
    member.node = new ClusterNode({
      ...{ cluster: { role: "node", discovery: "static" }, instance: name, addr: at(host), discovery },
      ...{
        serves: [],
        weight: 100,
        publics: [],
        reuseTime: 30_000,
        log: member.log,
        now: () => 1.7e12 + 0.25 + performance.now(),
      },
      random: () => 1,
      connect: (to) => this.#connect(member, to),
      onView: (views) => void (member.told = views),
      onOwn: (own) => void member.owns.push(own),
      onClosed: (thread, number) => void member.closed.push(`${thread}:${number}`),
      handlers: {
        sessions: () => Promise.resolve({ total: 0, sessions: [] }),
        session: () => Promise.resolve(undefined),
        endSession: (id) => Promise.resolve(id === 7),
        moveSession: () => Promise.resolve("moved"),
        moveCarried: ({ most }) => Promise.resolve(most),
        snapshot: () => Promise.reject(new Error("no snapshot")),
      },
      ...more,
    });
    return member;
  }

  /** Adds one that has its slot and watches. */
  async start(name: string, options: Parameters<ClusterMesh["add"]>[1]): Promise<Member> {
    const member = this.add(name, options);
    await this.begin(member);
    return member;
  }

  async begin(member: Member, { listens = true } = {}): Promise<void> {
    const claiming = member.node.claim();
    await this.pass(1250);
    await claiming;
    member.isListening = listens;
    member.node.start();
    await this.pass(100);
  }

  /** Has another process take over from it, with what it says of itself. */
  async replace(member: Member, name: string, options: Parameters<ClusterMesh["add"]>[1]): Promise<Member> {
    const next = this.add(name, options);
    member.node.isPassedOn = true;
    const { text, bytes } = pack(member.node.snapshot as unknown as PlainData);
    next.node.goOn(readNodeSnapshot(unpack(text, joined(...bytes))));
    [member.isListening, next.isListening] = [false, true];
    next.node.start();
    await member.node.close();
    await this.cut(member);
    return next;
  }

  /** Ends it as a crash does: nothing is said, and nothing listens there. */
  async kill(member: Member): Promise<void> {
    member.isListening = false;
    await member.node.close();
    await this.cut(member);
  }

  /** Breaks off whatever is open with it. */
  async cut(member: Member): Promise<void> {
    for (const [lose, { from, to }] of [...this.#open]) if (from === member || to === member) lose("broken off");
    await turn();
  }

  async pass(ms: number): Promise<void> {
    await turn();
    for (let passed = 0; passed < ms; passed += 50) {
      this.time.pass(50);
      await turn();
      await turn();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { node } of this.members) await node.close();
    this.time[Symbol.dispose]();
  }

  async #connect(from: Member, addr: Endpoint): Promise<Conversation> {
    const to = this.members.find((member) =>
      member.isListening && formatEndpoint(member.addr) === formatEndpoint(addr)
    );
    await Promise.resolve();
    if (!to) throw new NoConversation("refused");
    if (to === from) throw new NoConversation("self");
    if (to.isMute || from.isMute) {
      await new Promise((resolve) => setTimeout(resolve, 5000));
      throw new NoConversation("unreachable");
    }
    return this.#conversation(from, to);
  }

  #conversation(from: Member, to: Member): Conversation {
    const lost = Promise.withResolvers<string>();
    const lose = (reason: string) => {
      this.#open.delete(lose);
      lost.resolve(reason);
    };
    this.#open.set(lose, { from, to });
    const asker = { ...from.node.own.identity, role: from.role, addr: from.addr };
    const ask = async (method: string, args: unknown, timeout: number) => {
      if (!this.#open.has(lose)) throw noAnswer("it is lost");
      const answer = to.isMute || from.isMute ? undefined : { value: await to.node.answer(asker, method, args) };
      if (answer && to.answersToLose-- <= 0) return structuredClone(answer.value);
      const late = setTimeout(() => lose("no answer"), answer ? 0 : timeout);
      const reason = await lost.promise;
      clearTimeout(late);
      throw noAnswer(reason);
    };
    return { peer: to.node.own.identity, lost: lost.promise, ask, close: () => lose("closed here") };
  }
}
