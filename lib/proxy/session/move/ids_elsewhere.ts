/** The ids of sessions of other tables, from the view of one: none of its own may have these. */
export class IdsElsewhere {
  /** Of those that have left for another table; that are to come from one; and that were to, and have not. */
  readonly #left = new Set<number>();
  readonly #coming = new Set<number>();
  readonly #stayed = new Set<number>();
  /** More may come than those. */
  #mayMoreCome = false;

  get size(): number {
    return this.#left.size + this.#coming.size + this.#stayed.size;
  }

  has(id: number): boolean {
    return this.#left.has(id) || this.#coming.has(id) || this.#stayed.has(id);
  }

  /** Whether one that is not here is, or may soon be, where its client finds it if it tries again. */
  isOnItsWay(id: number): boolean {
    return this.#mayMoreCome || this.#left.has(id) || this.#coming.has(id);
  }

  left(id: number): void {
    this.#left.add(id);
  }

  /** These are to come, and others may that begin meanwhile, until `allCame`. */
  expect(ids: readonly number[]): void {
    for (const id of ids) this.#coming.add(id);
    this.#mayMoreCome = true;
  }

  /** It is here. */
  came(id: number): void {
    this.#coming.delete(id);
    this.#left.delete(id);
  }

  /** What has left is nowhere: none else has such an id, and it is not on its way. */
  forgetLeft(): void {
    for (const id of this.#left) this.#stayed.add(id);
    this.#left.clear();
  }

  /** What has not come is not to come any more. */
  allCame(): void {
    this.#mayMoreCome = false;
    for (const id of this.#coming) this.#stayed.add(id);
    this.#coming.clear();
  }
}
