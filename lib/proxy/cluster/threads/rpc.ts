/** One end of a channel between two threads: a worker as its maker sees it, or a worker's own global scope. */
export interface Port {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

// deno-lint-ignore no-explicit-any -- each method has its own arguments and result
type Methods = Record<string, (...args: any[]) => unknown>;

/** The methods of the other end, each of which gives its result later. */
export type Remote<T extends Methods> = {
  [K in keyof T]: (...args: Parameters<T[K]>) => Promise<Awaited<ReturnType<T[K]>>>;
};

type Message =
  | { call: number; method: string; args: unknown[] }
  | { answer: number; value: unknown }
  | { answer: number; error: string };

/**
 * Lets the other end of `port` call `own`, and gives what calls the methods of the other end. Arguments and results are copied soon.
 * What a method throws, or rejects with, is thrown at the other end as an `Error` with that message. `onPosted`: the other end is being
 * told something.
 */
export function connectPort<T extends Methods>(port: Port, own: Methods, onPosted = () => {}): Remote<T> {
  const pending = new Map<number, PromiseWithResolvers<unknown>>();
  let calls = 0;
  const post = postTogether(port, onPosted);
  const receive = (message: Message) => {
    if ("call" in message) return void answer(message.call, own[message.method]!, message.args);
    const { resolve, reject } = pending.get(message.answer)!;
    pending.delete(message.answer);
    if ("error" in message) reject(new Error(message.error));
    else resolve(message.value);
  };
  port.addEventListener("message", ({ data }) => (data as Message[]).forEach(receive));
  const answer = async (call: number, method: Methods[string], args: unknown[]) => {
    try {
      post({ answer: call, value: await method(...args) });
    } catch (error) {
      post({ answer: call, error: error instanceof Error ? error.message : String(error) });
    }
  };
  const call = (method: string) => (...args: unknown[]) => {
    const outcome = Promise.withResolvers<unknown>();
    pending.set(++calls, outcome);
    post({ call: calls, method, args });
    return outcome.promise;
  };
  // Not a promise: `then` is no method of the other end.
  return new Proxy({}, { get: (_, method) => method === "then" ? undefined : call(String(method)) }) as Remote<T>;
}

/** Posts what is said at once as one message, as each wakes the other thread; nothing of it may change until then. */
function postTogether(port: Port, onPosted: () => void): (message: Message) => void {
  let together: Message[] = [];
  return (message) => {
    if (together.push(message) > 1) return;
    queueMicrotask(() => {
      const messages = together;
      together = [];
      port.postMessage(messages);
      onPosted();
    });
  };
}
