/** The IPv4 address that an IPv6 one stands for on a socket of both families; any other as it is. */
export function unmapped(hostname: string): string {
  const [, dotted, high, low] = /^::ffff:(?:(\d+(?:\.\d+){3})|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(hostname) ?? [];
  if (dotted !== undefined || high === undefined) return dotted ?? hostname;
  return [high, low!].map((group) => parseInt(group, 16)).flatMap((value) => [value >> 8, value & 255]).join(".");
}
