/** A line of a file that `sha256sum --check` reads. */
export async function checksumLine(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `${digest.toHex()}  ${name}\n`;
}
