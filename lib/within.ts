/** What `work` gives, or `undefined` once `ms` milliseconds are over: then it goes on by itself. Rejects as it does until then. */
export async function within<T>(ms: number, work: Promise<T> | undefined): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
