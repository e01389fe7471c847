/** What is put around methods of all objects of a class, while it lasts. */
export class Wraps implements Disposable {
  readonly #restores: (() => void)[] = [];

  around<T extends object, K extends keyof T>(prototype: T, name: K, wrap: (method: T[K]) => T[K]): void {
    const method = prototype[name] as (...args: unknown[]) => unknown;
    prototype[name] = function (this: T, ...args: unknown[]) {
      return (wrap(method.bind(this) as T[K]) as typeof method)(...args);
    } as T[K];
    this.#restores.push(() => prototype[name] = method as T[K]);
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restores.reverse()) restore();
  }
}
